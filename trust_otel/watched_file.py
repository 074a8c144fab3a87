"""A file that somebody may replace while the service runs."""

from __future__ import annotations

from pathlib import Path


class WatchedFile:
    """Tells whether a file has changed since the last look, by its inode, size and time of change."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> bool:
        """Whether it differs from what `changed` saw last; the first time always.

        Raises:
            OSError: It is not there, or may not be looked at; the next look then sees a change.
        """
        try:
            status = self.path.stat()
        except OSError:
            self._seen = None
            raise
        now = (status.st_ino, status.st_size, status.st_mtime_ns)
        before, self._seen = self._seen, now
        return now != before
