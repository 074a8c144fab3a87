"""The result of a run: added costs, ratios, and their tables."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from rich.table import Table

from benchmarks.rows import ROUNDS, THE_OPERATION, Row
from benchmarks.runner import Costs
from benchmarks.variants import locked

RESULTS = Path(__file__).with_name("RESULTS.md")
RATIOS = Path(__file__).with_name("ratios.json")

_HEADINGS = ("case", "bare", "trust-otel adds", "best peer adds", "best peer", "ratio", "bar", "met")


@dataclass(frozen=True)
class Added:
    """What a variant adds to the bare program.

    Attributes:
        least: From the minimum of all rounds, which is least affected by other load.
        tenth: From the 10 % quantile of the rounds.
    """

    least: float
    tenth: float


@dataclass(frozen=True)
class Result:
    """The result of one row."""

    row: Row
    bare: float | None
    ours: Added
    peers: Mapping[str, Added]
    not_available: Mapping[str, str]

    @classmethod
    def of(cls, row: Row, costs: Costs) -> Result:
        """The result from the measured rounds.

        Raises:
            RuntimeError: The variant without telemetry or trust-otel could not be measured.
        """
        for name, reason in costs.not_available.items():
            if name not in row.peers:
                raise RuntimeError(f"{name} could not be measured: {reason}")
        base = _added(costs.rounds[row.bare]) if row.bare else Added(0.0, 0.0)
        added = {
            name: Added(cost.least - base.least, cost.tenth - base.tenth)
            for name, cost in ((name, _added(rounds)) for name, rounds in costs.rounds.items())
        }
        return cls(
            row,
            base.least if row.bare else None,
            added[row.ours],
            {name: added[name] for name in row.peers or [THE_OPERATION] if name in added},
            costs.not_available,
        )

    @property
    def ratios(self) -> dict[str, float]:
        """Added cost of trust-otel divided by that of each peer, or by the operation itself, from the minima."""
        return {name: self.ours.least / peer.least for name, peer in self.peers.items()}

    @property
    def best(self) -> str:
        """The peer that adds least."""
        return min(self.peers, key=lambda name: self.peers[name].least)

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of its line in the table."""
        unit = self.row.unit
        bar = f"{self.row.bar:.2f}"
        ours = (
            self.row.title,
            "" if self.bare is None else _shown(self.bare, unit),
            f"{_shown(self.ours.least, unit)} ({_shown(self.ours.tenth, unit)})",
        )
        if not self.peers:
            return (*ours, "", f"not available: {'; '.join(self.not_available.values())}", "", bar, "")
        best, ratio = self.peers[self.best], self.ratios[self.best]
        return (
            *ours,
            f"{_shown(best.least, unit)} ({_shown(best.tenth, unit)})",
            self.best.removesuffix(", traces"),
            f"{ratio:.3f} ({self.ours.tenth / best.tenth:.3f})",
            bar,
            "yes" if ratio <= self.row.bar else "**no**",
        )


def _added(rounds: list[float]) -> Added:
    ordered = sorted(rounds)
    return Added(ordered[0], ordered[len(ordered) // 10])


def _shown(cost: float, unit: str) -> str:
    """A cost with three digits and its unit."""
    if unit == "µs" and abs(cost) >= 10_000:
        cost, unit = cost / 1000, "ms"
    digits = 2 if abs(cost) < 10 else 1 if abs(cost) < 100 else 0
    return f"{cost:,.{digits}f} {unit}"


def table(results: Iterable[Result]) -> Table:
    """The table for the terminal."""
    made = Table(title="CPU time added, minimum (10 % quantile) of the rounds")
    for heading in _HEADINGS:
        made.add_column(heading, justify="left" if heading in ("case", "best peer", "met") else "right")
    for result in results:
        made.add_row(*(cell.replace("*", "").replace("`", "") for cell in result.cells))
    return made


def write(results: list[Result]) -> None:
    """Write the page of results, and the ratios that a test compares later ones with."""
    RESULTS.write_text("\n".join(_page(results)), encoding="utf-8")
    ratios = {result.row.title: {name: round(ratio, 3) for name, ratio in result.ratios.items()} for result in results}
    RATIOS.write_text(json.dumps(ratios, indent=2) + "\n", encoding="utf-8")


def _page(results: list[Result]) -> Iterator[str]:
    met = sum(result.cells[-1] == "yes" for result in results)
    yield f"""# What trust-otel costs

Written by `make bench`. Measured with {platform.python_implementation()} {platform.python_version()} on \
{platform.system()}, {platform.machine()}, {os.cpu_count()} cores. {met} of {len(results)} bars are met.

The numbers are CPU time of the whole process, of one operation, with all threads. Each variant runs in a process and an
environment of its own, and the rounds of the processes alternate. A number is the minimum of the rounds, with the 10 %
quantile in parentheses: other load on the machine only adds to a round. "Adds" is the cost without that of the bare
program in the same run. The ratio is that of what trust-otel adds to what the best peer adds; lower is better. What
nothing else measures is compared with the operation itself: 0.01 is 1 % of it.
"""
    yield from _markdown(_HEADINGS, (result.cells for result in results))
    tried = [f"- {each.row.title}: {each.row.tried}" for each in results if each.row.tried and each.cells[-1] != "yes"]
    if tried:
        yield "## What was tried for bars that are not met\n"
        yield from [*tried, ""]
    yield _HOW
    yield "## All peers\n"
    yield "What each adds, from the minima.\n"
    for _, group in groupby((result for result in results if len(result.row.peers) > 1), attrgetter("row.peers")):
        yield from _peers(list(group))
    yield "## Versions\n"
    yield from _markdown(("package", "version"), [("trust-otel", version("trust-otel")), *locked()])


def _peers(results: list[Result]) -> Iterator[str]:
    """A table of all peers of rows that have the same ones."""
    peers = results[0].row.peers
    yield from _markdown(
        ("case", "trust-otel", *(name.removesuffix(", traces") for name in peers)),
        (
            (
                result.row.title,
                _shown(result.ours.least, result.row.unit),
                *(
                    _shown(result.peers[name].least, result.row.unit)
                    if name in result.peers
                    else f"not available: {result.not_available[name]}"
                    for name in peers
                ),
            )
            for result in results
        ),
    )


def _markdown(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(headings)
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


_HOW = f"""## How it is measured

- Rounds: {", ".join(f"{name} {count}" for name, count in ROUNDS.items())}. Of each variant, a new
  process is started every 25 rounds. A round takes about 4 ms; for `scrape` and
  `startup` it is one scrape or start.
- trust-otel, contrib (opentelemetry-distro with its instrumentations), Elastic (elastic-opentelemetry) and Splunk
  (splunk-opentelemetry) are started with `opentelemetry-instrument`. FastAPI's own telemetry is started with
  `FASTAPI_OTEL_AUTO_CONFIGURE=true`. Logfire and the Prometheus libraries are set up in code, as their documentation
  says.
- Without traces, trace exporters are off, and so is the sampler of those that create spans all the same. Log exporters
  are always off.
- Metrics are exported to a receiver on loopback at the end only, so that no export is in a round. With traces, spans
  are exported to it all the time, and that is part of the cost.
- HTTP: from the server's call of the application to its last message, without a server. Of 10 or 300 routes, the one
  registered last is requested. The same code varies by 2 % from process to process: a few µs among 300 routes.
- gRPC: what interceptors and channels add, without gRPC's C core and the network.
- SQLAlchemy: SQLite in memory. The peer's spans are off.
- Recording: a call of the metrics API, against the same work with `labels(...)` of prometheus_client.
- Signatures, timestamps and certificates: `cryptography` with OpenSSL. The clock is read around each call and around
  the library's own functions within it; a number is the median of 25 calls. A timestamp is a CMS signature; a
  certificate has five extensions and includes its builder. What is added depends little on the key: 3 µs are 1 % of an
  operation that takes 300 µs.
- Scrape: text format without compression; every series changed since the last scrape. The client is another process.
- Start-up: from the start of `opentelemetry-instrument` to the end of the program, with its child processes; memory is
  the largest resident set.
"""
