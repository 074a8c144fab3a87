"""Files with declarations, such as SLAs, read at the start and again when they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from trust_otel.background import Periodic
from trust_otel.metrics.source import SourceMetrics
from trust_otel.reloading_file import ReloadingFile

_CHECK_SECONDS: Final = 10.0

_Declared = TypeVar("_Declared")


class DeclarationsFile(Generic[_Declared]):
    """A file with declarations. If it cannot be read or is invalid, the last valid ones stay in use.

    Args:
        path: The file.
        kind: Value of `trust.otel.source.kind`.
        read: Reads the declarations; its `ValueError` names the problem and a fix.
        use: Called with the declarations to use from now on.
        sources: Records whether the file could be read.
    """

    def __init__(
        self,
        path: str,
        kind: str,
        read: Callable[[Path], tuple[_Declared, ...]],
        use: Callable[[tuple[_Declared, ...]], object],
        sources: SourceMetrics,
    ) -> None:
        self._path = path
        self._kind = kind
        self._file: ReloadingFile[tuple[_Declared, ...]] = ReloadingFile(path, read, initial=())
        self._use = use
        self._sources = sources
        self._periodic = Periodic(f"trust-otel-{kind.replace('_', '-')}", _CHECK_SECONDS, self.read_if_changed)

    def watch(self) -> None:
        """Read the file now, and then again when it changes."""
        # Before the service records anything, so that its first events count.
        self.read_if_changed()
        self._periodic.start()

    def read_if_changed(self) -> None:
        """Read the file if it has changed, and use its declarations from now on."""
        try:
            changed = self._file.read_if_changed()
        except ValueError as error:
            self._sources.record_source(self._path, kind=self._kind, problem=str(error))
            return
        if changed:
            self._use(self._file.value)
        self._sources.record_source(self._path, kind=self._kind)

    def remove(self) -> None:
        """Stop watching the file, and using its declarations."""
        self._periodic.stop()
        self._use(())
        self._sources.remove_source(self._path, kind=self._kind)
