"""The drill's report as a table, as SVG and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.drill.runner import Report, Result

_PICTURE_WIDTH = 170


def table(report: Report) -> Table:
    """A row for each alert."""
    made = Table(
        title=f"Fire drill: {len(report.results)} alerts, time {report.factor:g} times as fast as in production"
    )
    for column in ("alert", "fault", "notified after", "receivers", "resolved after"):
        made.add_column(column, justify="right" if column.endswith("after") else "left")
    for result in report.results:
        made.add_row(*_row(result))
    return made


def summary(report: Report) -> str:
    """A summary in a few lines."""
    good = sum(result.good for result in report.results)
    lines = [
        f"{good} of {len(report.results)} alerts fired, notified exactly their receivers, and resolved.",
        f"In {report.quiet_seconds:.0f} s without faults, {', '.join(report.noise) or 'no alert'} fired.",
        f"The dead man's switch received {report.heartbeats} heartbeats.",
        *(f"Malformed: {problem}" for problem in report.problems),
    ]
    return "\n".join(lines)


def as_json(report: Report) -> dict[str, object]:
    """The complete report."""
    return {
        "factor": report.factor,
        "good": report.good,
        "quiet_seconds": report.quiet_seconds,
        "noise": report.noise,
        "heartbeats": report.heartbeats,
        "problems": report.problems,
        "results": [
            {
                "alert": result.expected.alert,
                "severity": result.expected.severity,
                "level": result.expected.level,
                "fault": result.fault,
                "fired_seconds": result.fired_seconds,
                "receivers": sorted(result.expected.channels),
                "missing": sorted(result.missing),
                "wrong": sorted(result.wrong),
                "resolved_seconds": result.resolved_seconds,
                "unresolved": sorted(result.unresolved),
                "error": result.error,
            }
            for result in report.results
        ],
    }


def draw(report: Report, path: Path) -> None:
    """Write the table as SVG."""
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=_PICTURE_WIDTH, file=nowhere, force_terminal=True)
        console.print(table(report))
        console.print(summary(report), highlight=False)
        path.write_text(console.export_svg(title="make drill"))


def _row(result: Result) -> tuple[Text | str, ...]:
    expected = result.expected
    receivers = Text(_named(expected.channels - result.missing))
    for words, channels in (
        ("not notified: ", result.missing),
        ("wrong: ", result.wrong),
        ("not resolved: ", result.unresolved),
    ):
        if channels:
            receivers.append(f" {words}{_named(channels)}", style="bold red")
    receivers.append(result.error and f" {result.error}", style="bold red")
    style = {"critical": "red", "warning": "yellow"}.get(expected.severity, "cyan")
    name = Text(expected.alert).append(f" {expected.severity}", style=style)
    if expected.level:
        name.append(f", {expected.level}", style="dim")
    return name, result.fault, _seconds(result.fired_seconds), receivers, _seconds(result.resolved_seconds)


def _named(channels: Iterable[str]) -> str:
    """The channels, without the common mail domain."""
    return ", ".join(sorted(channel.partition("@")[0] for channel in channels))


def _seconds(seconds: float | None) -> Text | str:
    return Text("never", style="bold red") if seconds is None else f"{seconds:.1f} s"
