"""Definitions of metrics and attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trust_otel.semconv.prometheus import family_name, label_name

InstrumentKind = Literal["counter", "updowncounter", "gauge", "histogram"]
AttributeType = Literal["string", "int", "double", "boolean"]


@dataclass(frozen=True)
class Attribute:
    """An attribute in the registry.

    Attributes:
        name: Dotted name.
        type: Type of the value.
        brief: Description in one sentence.
        members: All allowed values; empty if the attribute is open.
        pattern: Regular expression that the whole value must match.
        other: Replacement of values that are not allowed or above the limit.
        limit: Maximum number of distinct values in one process.
        examples: Example values of an open attribute, for the documentation.
    """

    name: str
    type: AttributeType
    brief: str
    members: tuple[str | int, ...] = ()
    pattern: str | None = None
    other: str = "_other"
    limit: int = 100
    examples: tuple[str | int, ...] = ()

    @property
    def label(self) -> str:
        """Name of the label in Prometheus."""
        return label_name(self.name)


@dataclass(frozen=True)
class Metric:
    """A metric in the registry.

    Attributes:
        name: Dotted name.
        instrument: Kind of instrument.
        unit: UCUM unit.
        brief: Description in one sentence.
        attributes: All attributes that a series may have.
        required: Names of the attributes that every series has.
        buckets: Upper bounds of the buckets, in the unit; for histograms only.
        note: Additional description.
        third_party: Whether only another installed instrumentation records it.
    """

    name: str
    instrument: InstrumentKind
    unit: str
    brief: str
    attributes: tuple[Attribute, ...] = ()
    required: frozenset[str] = frozenset()
    buckets: tuple[float, ...] = ()
    note: str = ""
    third_party: bool = False

    @property
    def prometheus_name(self) -> str:
        """Name of the family in Prometheus, without the `_bucket`, `_sum` and `_count` of a histogram."""
        return family_name(
            self.name, self.unit, monotonic=self.instrument == "counter", gauge=self.instrument == "gauge"
        )


@dataclass(frozen=True)
class Event:
    """An event in the registry: a log record with a name.

    Attributes:
        name: Dotted name, the `event_name` of the log record.
        kind: `security`, `audit` or `compliance`; a setting lists the kinds that are exported.
        brief: What happened, in one sentence; the body of the log record is the same without the period.
        attributes: All attributes that a record may have.
        required: Names of the attributes that every record has.
        note: When it is emitted.
    """

    name: str
    kind: str
    brief: str
    attributes: tuple[Attribute, ...] = ()
    required: frozenset[str] = frozenset()
    note: str = ""
