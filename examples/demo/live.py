"""The live table."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from rich.console import Console
from rich.live import Live
from rich.table import Table

from examples.demo.rows import ROWS, Row
from examples.demo.sources import Source

_LINES_EVERY = 10


def table(source: Source, title: str) -> Table:
    """The rows with their current values."""
    drawn = Table(title=title, title_justify="left", min_width=52)
    drawn.add_column(f"read from {source.name}")
    drawn.add_column("now", justify="right", min_width=14)
    for row in ROWS:
        drawn.add_row(row.label, _written(row, source))
    return drawn


class LiveView:
    """Redraws the table on a terminal; without a terminal, prints a line every ten seconds.

    Args:
        console: Console to draw on.
        source: Source of the values.
        title: Returns the title with the current progress.
    """

    def __init__(self, console: Console, source: Source, title: Callable[[], str]) -> None:
        self._console = console
        self._source = source
        self._title = title
        self._ticks = 0
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> LiveView:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def tick(self) -> None:
        """Show the current values. Call it once a second."""
        if self._live:
            self._live.update(table(self._source, self._title()), refresh=True)
        elif self._ticks % _LINES_EVERY == 0:
            shown = (f"{row.label} {_written(row, self._source)}" for row in ROWS[:4])
            self._console.print(f"{self._title()}: {', '.join(shown)}", highlight=False, soft_wrap=True)
        self._ticks += 1


def _written(row: Row, source: Source) -> str:
    value = source.measure(row.measure)
    return row.write(value) if value is not None and isfinite(value) else "-"
