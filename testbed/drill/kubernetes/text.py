"""Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Sample:
    """A value and its labels; `milliseconds` is when it was measured (Unix time), where the endpoint says so."""

    labels: Mapping[str, str]
    value: float
    milliseconds: int | None = None


@dataclass(frozen=True)
class Family:
    """The samples of one name."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Iterable[Sample]


def page(families: Iterable[Family]) -> str:
    """The page; a family without samples has its two comments still, as kube-state-metrics does it."""
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
