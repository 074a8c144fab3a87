"""A yesterday for a service that has just begun: what it would have recorded, as blocks of Prometheus' storage."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import binaries

_STEP_SECONDS = 15

Course = tuple[Mapping[str, str], Iterable[tuple[int, float]]]
"""Labels of a series, and its values by Unix time, oldest first."""


def backfill(
    data: Path, series: Mapping[str, tuple[Mapping[str, str], float]], begin: float, end: float, scratch: Path
) -> None:
    """Write a constant value of each series from `begin` to `end` (Unix time) into the storage folder of a Prometheus
    that does not run.

    Raises CalledProcessError, with promtool's words in it, when it refuses.
    """
    moments = range(int(begin), int(end), _STEP_SECONDS)
    store(
        data,
        {name: [(labels, [(at, value) for at in moments])] for name, (labels, value) in series.items()},
        scratch,
    )


def store(data: Path, series: Mapping[str, Iterable[Course]], scratch: Path) -> None:
    """Write what series were, by name, into the storage folder of a Prometheus that does not run.

    Raises CalledProcessError, with promtool's words in it, when it refuses.
    """
    lines = []
    for name, courses in series.items():
        lines.append(f"# TYPE {name} gauge")
        for labels, points in courses:
            pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
            lines += [f"{name}{{{pairs}}} {value:.9g} {at}" for at, value in points]
    text = scratch / "history.openmetrics"
    text.write_text("\n".join([*lines, "# EOF"]) + "\n")
    promtool = find(binaries()["promtool"], os.environ, lambda _: None)
    subprocess.run(  # noqa: S603 - our own executable
        [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)],
        check=True,
        capture_output=True,
        text=True,
    )
