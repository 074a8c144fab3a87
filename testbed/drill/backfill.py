"""Backfills recorded series into the storage of a Prometheus server, as TSDB blocks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
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
                file.writelines(f"{name}{{{pairs}}} {value:.15g} {at}\n" for at, value in points)
        file.write("# EOF\n")
    _create_blocks(
        "openmetrics",
        # It reads the whole file once for each block.
        "--max-block-duration=15d",
        *(str(text), str(data)),
    )


def record(url: str, data: Path, rules: Sequence[Path], begin: int, end: int, interval: int) -> None:
    """Evaluate recording rules with a running Prometheus. It reads the results, in `data`, after a restart.

    Args:
        url: URL of the Prometheus.
        data: Its storage directory.
        rules: Rule files.
        begin: Unix time of the first evaluation.
        end: Unix time after which there is no evaluation.
        interval: Seconds between evaluations.

    Raises CalledProcessError with promtool's output.
    """
    _create_blocks(
        "rules",
        f"--start={begin}",
        f"--end={end}",
        f"--url={url}",
        f"--output-dir={data}",
        f"--eval-interval={interval}s",
        *map(str, rules),
    )


def _create_blocks(*arguments: str) -> None:
    promtool = find(binaries()["promtool"], os.environ, lambda _: None)
    subprocess.run(  # noqa: S603 - our own executable
        [str(promtool), "tsdb", "create-blocks-from", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
