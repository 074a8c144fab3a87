"""Prometheus' scrape targets (file_sd): `prometheus/targets/<name>.json` in the stack directory.

The jobs in monitoring/prometheus/prometheus.yml select them by name. Prometheus reloads changed files.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trust_ops.stack.ports import LOOPBACK
from trust_ops.stack.state import port_of


@dataclass(frozen=True)
class Target:
    """An endpoint: `host:port`, and labels for all its series (`__metrics_path__` is its path)."""

    address: str
    labels: Mapping[str, str] = field(default_factory=dict)


def write(directory: Path, name: str, targets: Sequence[Target]) -> None:
    """Replace the file atomically: Prometheus reads it as soon as it changes."""
    file = _folder(directory) / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = [{"targets": [target.address], "labels": dict(target.labels)} for target in targets]
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(content) + "\n")
    temporary.replace(file)


def local(url: str) -> Target:
    """The target for a component of the stack."""
    return Target(f"{LOOPBACK}:{port_of(url)}")


def clear(directory: Path) -> None:
    """Remove all targets of an earlier stack in the directory."""
    shutil.rmtree(_folder(directory), ignore_errors=True)


def _folder(directory: Path) -> Path:
    return directory / "prometheus" / "targets"
