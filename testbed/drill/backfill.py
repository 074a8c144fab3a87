"""Backfills recorded series into the storage of a Prometheus server, as TSDB blocks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import binaries

_STEP_SECONDS = 15

Points = tuple[Mapping[str, str], Iterable[tuple[int, float]]]
"""Labels of a series, and its values with their Unix times, oldest first."""


def backfill(
    data: Path, series: Mapping[str, tuple[Mapping[str, str], float]], begin: float, end: float, scratch: Path
) -> None:
    """Write a constant value of each series from `begin` to `end` (Unix time) into the storage of a stopped Prometheus.

    Raises CalledProcessError with promtool's output.
    """
    moments = range(int(begin), int(end), _STEP_SECONDS)
    store(
        data,
        {name: [(labels, [(at, value) for at in moments])] for name, (labels, value) in series.items()},
        scratch,
    )


def store(data: Path, series: Mapping[str, Iterable[Points]], scratch: Path) -> None:
    """Write series, by name, into the storage of a stopped Prometheus.

    Raises CalledProcessError with promtool's output.
    """
    text = scratch / "history.openmetrics"
    with text.open("w", encoding="utf-8") as file:
        for name, courses in series.items():
            file.write(f"# TYPE {name} gauge\n")
            for labels, points in courses:
                pairs = ",".join(f'{label}="{value}"' for label, value in labels.items())
                file.writelines(f"{name}{{{pairs}}} {value:.9g} {at}\n" for at, value in points)
        file.write("# EOF\n")
    promtool = find(binaries()["promtool"], os.environ, lambda _: None)
    subprocess.run(  # noqa: S603 - our own executable
        [
            str(promtool),
            *("tsdb", "create-blocks-from", "openmetrics"),
            # It reads the whole file once for each block.
            "--max-block-duration=15d",
            *(str(text), str(data)),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
