"""Reads the certificates that a monitor of certificate transparency found, in TRUST_OTEL_CT_FEED."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.background import Periodic
from trust_otel.metrics import recorder_of
from trust_otel.reloading_file import ReloadingFile, open_file

_KIND: Final = "ct_feed"
_CHECK_SECONDS: Final = 10.0
_MAX_BYTES: Final = 10 * 1024 * 1024
_CHECKS_WITHOUT_FUNCTION: Final = 6
"""Checks while a service starts, in which it need not have called `observe_ct_feed`."""


class CtFeedInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Compares the certificates of the file with those that the service issued, on a background thread.

    `instrument(metrics=...)` sets the `TrustServiceMetrics` that records; by default that of the process.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """No required packages."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._recorder = recorder_of(kwargs.get("metrics"))
        self._path = settings.current().ct_feed or ""
        self._file: ReloadingFile[Mapping[bytes, Mapping[str, Any]]] = ReloadingFile(self._path, read_entries, {})
        self._starting = _CHECKS_WITHOUT_FUNCTION
        self._periodic = Periodic("trust-otel-ct-feed", _CHECK_SECONDS, self._check)
        self._periodic.start()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._periodic.stop()
        self._recorder.sources.remove_source(self._path, kind=_KIND)

    def _check(self) -> None:
        try:
            self._file.read_if_changed()
        except ValueError as error:
            problem: str | None = str(error)
        else:
            problem = self._recorder.certificate_transparency.check_feed(self._file.value)
            if problem is not None and self._starting > 0:
                self._starting -= 1
                return
        self._recorder.sources.record_source(self._path, kind=_KIND, problem=problem)


def read_entries(path: Path) -> Mapping[bytes, Mapping[str, Any]]:
    """The JSON objects of a file, one in each line, by a hash of the line.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is too large, or a line is no JSON object. The last line may be incomplete.
    """
    with open_file(path, _MAX_BYTES) as file:
        lines = file.read(_MAX_BYTES).split(b"\n")
    # Without a line end, the last one is still being written.
    found = enumerate(lines[:-1], start=1)
    return {sha256(line.strip()).digest(): _entry(number, line) for number, line in found if line.strip()}


def _entry(number: int, line: bytes) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise ValueError(f"line {number} is no JSON object; write one certificate in each line")
    return entry
