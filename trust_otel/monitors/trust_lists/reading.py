"""Reads lists of trust anchors from files and URLs, and verifies their signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from trust_otel.monitors.certificates.content import UnreadableError
from trust_otel.monitors.certificates.fetch import UnchangedError, fetch
from trust_otel.monitors.certificates.files import os_reason, read_file
from trust_otel.monitors.trust_lists import etsi, icao, vical
from trust_otel.monitors.trust_lists.content import InvalidSignatureError, ListContent, ReadList
from trust_otel.monitors.trust_lists.signers import Signers, read_signers
from trust_otel.setting_lists import TrustList

_READERS: Final[dict[str, Callable[[bytes, Signers | None], ListContent]]] = {
    "etsi": etsi.read,
    "icao": icao.read,
    "vical": vical.read,
}


_VALIDATORS: Final = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


class ListSource:
    """A list in a file or at a URL. Downloads it only if it has changed (conditional requests, RFC 9110, section 13).

    Args:
        trust_list: The list.
        signers_path: File with the certificates that may sign it; `None` to read it without verification.
    """

    def __init__(self, trust_list: TrustList, signers_path: str | None) -> None:
        self.trust_list = trust_list
        self._signers_path = signers_path
        self._downloaded = b""
        self._validators: dict[str, str] = {}

    def read(self) -> ReadList:
        """Read the list once; takes at most about 15 seconds."""
        try:
            data = self._data()
            signers, problem = _signers(self._signers_path)
            # Also if it is unchanged: the certificate of a signer may have expired.
            content = _READERS[self.trust_list.type](data, signers)
            return ReadList(content, "not_verified" if signers is None else "valid", problem)
        except InvalidSignatureError as error:
            return ReadList(signature="invalid", reason=str(error))
        except UnreadableError as error:
            return ReadList(problem=str(error))
        except Exception as error:
            # Only the type: the message may contain a secret.
            return ReadList(problem=f"could not be read ({type(error).__name__})")

    def _data(self) -> bytes:
        location = self.trust_list.location
        if "://" not in location:
            try:
                return read_file(location)
            except OSError as error:
                raise UnreadableError(os_reason(error)) from error
        try:
            # This request is not traffic of the service.
            with suppress_instrumentation():
                self._downloaded, headers = fetch(location, headers=self._validators)
        except UnchangedError:
            return self._downloaded
        self._validators = {
            request: value for response, request in _VALIDATORS.items() if (value := headers.get(response)) is not None
        }
        return self._downloaded


def _signers(path: str | None) -> tuple[Signers | None, str | None]:
    if path is None:
        return None, None
    try:
        return read_signers(path), None
    except UnreadableError as error:
        return None, str(error)
