"""Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Sample:
    """A value and its labels, with an optional timestamp (Unix time in milliseconds)."""

    labels: Mapping[str, str]
    value: float
    milliseconds: int | None = None


@dataclass(frozen=True)
class Family:
    """A metric family."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Iterable[Sample]


def page(families: Iterable[Family]) -> str:
    """The exposition. As in kube-state-metrics, a family without samples still has its HELP and TYPE lines."""
    return "".join(line + "\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
        timestamp = "" if sample.milliseconds is None else f" {sample.milliseconds}"
        yield f"{family.name}{{{labels}}} {sample.value:.15g}{timestamp}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
