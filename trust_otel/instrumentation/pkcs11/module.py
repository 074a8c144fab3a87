"""Reads slots and tokens from a PKCS#11 module that the service has loaded.

python-pkcs11 initializes a module without locking (`C_Initialize` with NULL), so no second thread may call it at the
same time (PKCS#11 2.40, 5.4). These functions are therefore only called where the service has just called it.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Any, Final

_OK: Final = 0
_TOKEN_PRESENT: Final = 1
_EFFECTIVELY_INFINITE: Final = 0
_UNAVAILABLE: Final = ctypes.c_ulong(-1).value
_MOST_SLOTS: Final = 1000


class _TokenInfo(ctypes.Structure):
    """CK_TOKEN_INFO (PKCS#11 2.40, 3.2)."""

    _fields_ = (
        ("label", ctypes.c_char * 32),
        ("manufacturer_id", ctypes.c_char * 32),
        ("model", ctypes.c_char * 16),
        ("serial_number", ctypes.c_char * 16),
        *(
            (name, ctypes.c_ulong)
            for name in (
                "flags",
                "max_sessions",
                "sessions",
                "max_rw_sessions",
                "rw_sessions",
                "max_pin_length",
                "min_pin_length",
                "total_public_memory",
                "free_public_memory",
                "total_private_memory",
                "free_private_memory",
            )
        ),
        ("hardware_version", ctypes.c_ubyte * 2),
        ("firmware_version", ctypes.c_ubyte * 2),
        ("utc_time", ctypes.c_char * 16),
    )


class _SlotInfo(ctypes.Structure):
    """CK_SLOT_INFO (PKCS#11 2.40, 3.2)."""

    _fields_ = (
        ("description", ctypes.c_char * 64),
        ("manufacturer_id", ctypes.c_char * 32),
        ("flags", ctypes.c_ulong),
        ("hardware_version", ctypes.c_ubyte * 2),
        ("firmware_version", ctypes.c_ubyte * 2),
    )


@dataclass(frozen=True)
class TokenInfo:
    """What a token says of itself; `None` and missing keys where it says nothing.

    Attributes:
        max_sessions: Maximum number of sessions of this process.
        free_memory: Free bytes for `public` and `private` objects.
    """

    max_sessions: int | None
    free_memory: dict[str, int]


class Module:
    """A PKCS#11 module that is loaded and initialized in this process.

    Raises:
        OSError: It is not loaded.
    """

    def __init__(self, path: str) -> None:
        # Not loaded again: its state is that of the service.
        self._library: Any = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_NOLOAD)

    def token(self, slot_id: int) -> TokenInfo | None:
        """What the token in a slot says of itself; `None` if it cannot be read."""
        info = _TokenInfo()
        if self._library.C_GetTokenInfo(ctypes.c_ulong(slot_id), ctypes.byref(info)) != _OK:
            return None
        memory = {"public": info.free_public_memory, "private": info.free_private_memory}
        unlimited = info.max_sessions in (_EFFECTIVELY_INFINITE, _UNAVAILABLE)
        return TokenInfo(
            None if unlimited else info.max_sessions,
            {name: free for name, free in memory.items() if free != _UNAVAILABLE},
        )

    def slots(self) -> dict[str, int]:
        """Number of slots by `trust.pkcs11.slot.state`; empty if they cannot be read."""
        count = ctypes.c_ulong(_MOST_SLOTS)
        identifiers = (ctypes.c_ulong * _MOST_SLOTS)()
        if self._library.C_GetSlotList(ctypes.c_ubyte(0), identifiers, ctypes.byref(count)) != _OK:
            return {}
        states = {"token": 0, "empty": 0}
        for identifier in identifiers[: count.value]:
            info = _SlotInfo()
            read = self._library.C_GetSlotInfo(ctypes.c_ulong(identifier), ctypes.byref(info))
            states["token" if read == _OK and info.flags & _TOKEN_PRESENT else "empty"] += 1
        return states

    def close(self) -> None:
        """Drop the reference, so that the service can unload the module."""
        # The public way, `ctypes.util`, has none.
        from _ctypes import dlclose

        dlclose(self._library._handle)
