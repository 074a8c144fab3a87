"""Countries of addresses, from a database in MaxMind's format on this machine."""

from __future__ import annotations

import os
import shutil
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Final

from trust_otel.reloading_file import ReloadingFile, open_file

_MAX_BYTES: Final = 512 * 2**20
_SAMPLE: Final = 1000
"""Records that are looked at to tell a database of countries from another one."""


class Countries:
    """Looks up the country of an address.

    Known layouts: `country.iso_code` (MaxMind, DB-IP), `country_code` (IPinfo Lite and others) and `country` as two
    letters (IPinfo). `registered_country` does not count: it is where a network was registered, not where it is used.

    The database is copied into memory, because a mapped file that is overwritten ends the process. One reader stays
    until nobody looks anything up in it any more, so it may be replaced at any time.

    Args:
        path: The database. Nothing is read before `read_if_changed`.
    """

    def __init__(self, path: str) -> None:
        self._database: ReloadingFile[Any] = ReloadingFile(path, self._open, None)
        # Imported at once, and on this thread: a fork in the middle of an import would leave it locked in the child.
        self._library = _library()

    def read_if_changed(self) -> bool:
        """Open the database anew if its file has changed; at the first call in any case.

        Raises:
            ValueError: It cannot be used, and why; the last good one stays. Said again at each call until it can.
        """
        return self._database.read_if_changed()

    def country(self, address: str) -> str | None:
        """Two letters of ISO 3166-1, in capitals; `None` when the database does not know, or there is none yet."""
        reader = self._database.value
        if reader is None:
            return None
        # Whatever is wrong with the address or in the database, the caller has no use for it.
        try:
            record = reader.get(address)
            return None if record is None else _country(record)
        except Exception:
            return None

    @property
    def built_at(self) -> float | None:
        """When the database was built, as Unix time; `None` when there is none yet."""
        reader = self._database.value
        return None if reader is None else float(reader.metadata().build_epoch)

    def close(self) -> None:
        """Let go of the database; every country is unknown from now on."""
        self._database.value = None

    def _open(self, path: Path) -> Any:
        if self._library is None:
            raise ValueError("this needs the library maxminddb; install it by `pip install 'trust-otel[geo]'`")
        with open_file(path, _MAX_BYTES) as file:
            return _country_reader(self._library, file)


def _country_reader(library: ModuleType, file: BinaryIO) -> Any:
    try:
        reader = _reader(library, file)
        has_countries = any(_country(record) for _, record in islice(reader, _SAMPLE))
    except Exception as error:
        raise ValueError(
            "the file is not a complete database in MaxMind's format; download a country database (.mmdb)"
        ) from error
    if not has_countries:
        kind = reader.metadata().database_type
        raise ValueError(f"the database ({kind}) has no countries; download a country database")
    return reader


def _library() -> ModuleType | None:
    try:
        import maxminddb
    except ImportError:
        return None
    return maxminddb


def _reader(library: ModuleType, file: BinaryIO) -> Any:
    """A reader of a copy in memory. The library's C code, 15 times as fast as its Python code, takes only a path."""
    try:
        with open(os.memfd_create("trust-otel-countries"), "wb", buffering=0) as copy:
            shutil.copyfileobj(file, copy)
            return library.open_database(f"/proc/self/fd/{copy.fileno()}", library.MODE_MMAP_EXT)
    except (AttributeError, OSError, ValueError):  # another system than Linux, or a library without its C code
        file.seek(0)
        return library.open_database(file, library.MODE_FD)


def _country(record: Any) -> str | None:
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code", country)
    if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha():
        return code.upper()
    return None
