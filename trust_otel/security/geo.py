"""Countries of IP addresses, from a local database in MaxMind's format (MMDB)."""

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
"""Records that are checked for countries when a database is loaded."""


class Countries:
    """Looks up the country of an address.

    Supported layouts: `country.iso_code` (MaxMind, DB-IP), `country_code` (IPinfo Lite and others) and `country` as two
    letters (IPinfo). `registered_country` is ignored: it is where the network was registered, not where it is used.

    The database is copied into memory, because overwriting a memory-mapped file kills the process (SIGBUS). Lookups
    that are running during a reload finish on the old database.

    Args:
        path: The database. It is not read before the first `read_if_changed`.
    """

    def __init__(self, path: str) -> None:
        self._database: ReloadingFile[Any] = ReloadingFile(path, self._open, None)
        # Imported here, not on the reading thread: after a fork during an import, its lock stays held in the child.
        self._library = _library()

    def read_if_changed(self) -> bool:
        """Load the database if its file has changed. Must not be called by two threads at once.

        Returns:
            Whether a database was loaded.

        Raises:
            ValueError: The database cannot be used; the last valid one stays in use. Raised at each call until a load
                succeeds.
        """
        return self._database.read_if_changed()

    def country(self, address: str) -> str | None:
        """The ISO 3166-1 alpha-2 code in upper case; `None` if it is unknown or no database is loaded."""
        reader = self._database.value
        if reader is None:
            return None
        # An invalid address or a corrupt record means that the country is unknown.
        try:
            record = reader.get(address)
            return None if record is None else _country(record)
        except Exception:
            return None

    @property
    def built_at(self) -> float | None:
        """When the database was built, as Unix time in seconds; `None` if none is loaded."""
        reader = self._database.value
        return None if reader is None else float(reader.metadata().build_epoch)

    def close(self) -> None:
        """Release the database; every country is unknown from now on."""
        self._database.value = None

    def _open(self, path: Path) -> Any:
        if self._library is None:
            raise ValueError("the library maxminddb is not installed: pip install 'trust-otel[geo]'")
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
    """A reader of an in-memory copy. Uses the C extension, which is 15 times as fast, but accepts only a path."""
    try:
        with open(os.memfd_create("trust-otel-countries"), "wb", buffering=0) as copy:
            shutil.copyfileobj(file, copy)
            return library.open_database(f"/proc/self/fd/{copy.fileno()}", library.MODE_MMAP_EXT)
    except (AttributeError, OSError, ValueError):  # not Linux, or no C extension
        file.seek(0)
        return library.open_database(file, library.MODE_FD)


def _country(record: Any) -> str | None:
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code", country)
    if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha():
        return code.upper()
    return None
