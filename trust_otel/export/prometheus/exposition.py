"""Writes samples in the text formats of Prometheus.

Sources: Prometheus documentation, "Exposition formats" (0.0.4); OpenMetrics 1.0.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Final

_LABELS: Final = "\0"
"""Placeholder for the labels in a template; no name, bound or number contains it."""

_ESCAPED_IN_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})
_ESCAPED: Final = _ESCAPED_IN_HELP | str.maketrans({'"': r"\""})

_NUMBERS_WITH_NAMES: Final = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


@dataclass(frozen=True, slots=True)
class Format:
    """A text format, by its media type and version."""

    media_type: str
    version: str

    @property
    def content_type(self) -> str:
        """Value of the header `Content-Type`. All names are valid in every scheme of escaping."""
        return f"{self.media_type}; version={self.version}; charset=utf-8; escaping=underscores"


TEXT: Final = Format("text/plain", "0.0.4")
OPEN_METRICS: Final = Format("application/openmetrics-text", "1.0.0")


def head(format_: Format, name: str, kind: str, brief: str, unit: str) -> str:
    """The lines before the samples of a family.

    Args:
        format_: The format.
        name: Name of the family, without the `_total` of a counter.
        kind: `counter`, `gauge` or `histogram`.
        brief: The help text.
        unit: Prometheus' word for the unit, such as `seconds`; written only where it ends the name.
    """
    if format_ is not OPEN_METRICS:
        shown = f"{name}_total" if kind == "counter" else name
        return f"# HELP {shown} {brief.translate(_ESCAPED_IN_HELP)}\n# TYPE {shown} {kind}\n"
    unit_line = f"# UNIT {name} {unit}\n" if unit and name.endswith(f"_{unit}") else ""
    return f"# HELP {name} {brief.translate(_ESCAPED)}\n# TYPE {name} {kind}\n{unit_line}"


def label_text(labels: Mapping[str, str]) -> str:
    """Labels between the braces, in the order of their names, which also identifies them."""
    return ",".join([f'{name}="{labels[name].translate(_ESCAPED)}"' for name in sorted(labels)])


def number_text(number: float) -> str:
    """A value."""
    text = repr(float(number))
    return _NUMBERS_WITH_NAMES.get(text, text)


def bound_text(bound: float) -> str:
    """The bound of a bucket as Prometheus' client libraries write it: the label is compared as text."""
    text = number_text(bound)
    whole, _, fraction = text.partition(".")
    # Go uses an exponent sooner than Python.
    if bound > 0 and len(whole) > 6 and "e" not in text:
        mantissa = f"{whole[0]}.{whole[1:]}{fraction}".rstrip("0").rstrip(".")
        return f"{mantissa}e+{len(whole) - 1:02d}"
    return text


def time_text(unix_nano: int) -> str:
    """Seconds since 1970, cut to Prometheus' milliseconds: rounded up, a start may be after its sample."""
    seconds, rest = divmod(unix_nano, 1_000_000_000)
    return f"{seconds}.{rest // 1_000_000:03d}"


def exemplar_text(amount: float, time_unix_nano: int, trace_id: int | None, span_id: int | None) -> str:
    """What follows the value of a sample in OpenMetrics."""
    span = f'trace_id="{trace_id:032x}",span_id="{span_id:016x}"' if trace_id and span_id else ""
    return f" # {{{span}}} {number_text(amount)} {time_text(time_unix_nano)}"


def sample(name: str, labels: str, value: str) -> str:
    """A line."""
    return f"{name}{{{labels}}} {value}\n" if labels else f"{name} {value}\n"


class NumberTemplate:
    """The lines of a series of a counter or gauge but for its labels and numbers.

    Args:
        format_: The format.
        name: Name of the family, without the `_total` of a counter.
        kind: `counter` or `gauge`.
    """

    def __init__(self, format_: Format, name: str, kind: str) -> None:
        self._name = f"{name}_total" if kind == "counter" else name
        self._created = f"{name}_created" if kind == "counter" and format_ is OPEN_METRICS else ""

    def around(self, labels: str, start_unix_nano: int) -> tuple[str, str]:
        """What is before and after the value.

        Args:
            labels: From `label_text`.
            start_unix_nano: When counting began.
        """
        created = sample(self._created, labels, time_text(start_unix_nano)) if self._created else ""
        return sample(self._name, labels, "").removesuffix("\n"), f"\n{created}"

    def fill(self, labels: str, value: float, start_unix_nano: int, exemplar: str) -> str:
        """The lines of a series.

        Args:
            labels: From `label_text`.
            value: The value.
            start_unix_nano: When counting began.
            exemplar: From `exemplar_text`; empty without one.
        """
        before, after = self.around(labels, start_unix_nano)
        return f"{before}{number_text(value)}{exemplar}{after}"


class HistogramTemplate:
    """The lines of a histogram series but for its labels and numbers.

    Args:
        format_: The format.
        name: Name of the family.
        bounds: Upper bounds of the buckets, without infinity.

    Attributes:
        exemplars: Whether the format has exemplars.
    """

    def __init__(self, format_: Format, name: str, bounds: Sequence[float]) -> None:
        self._name = name
        self.exemplars = format_ is OPEN_METRICS
        self._buckets = "".join(f'{name}_bucket{{{_LABELS}le="{bound_text(bound)}"}} %d\n' for bound in (*bounds, inf))

    def fill(
        self, labels: str, counts: Sequence[int], total: float, start_unix_nano: int, exemplars: Mapping[int, str]
    ) -> str:
        """The lines of a series.

        Args:
            labels: From `label_text`.
            counts: Number of amounts in each bucket, the last one included.
            total: Sum of all amounts.
            start_unix_nano: When counting began.
            exemplars: From `exemplar_text`, by the index of the bucket.
        """
        cumulative = tuple(accumulate(counts))
        lines = (self._buckets % cumulative).replace(_LABELS, f"{labels}," if labels else "")
        if exemplars:
            lines = _with_exemplars(lines, exemplars)
        lines += sample(f"{self._name}_sum", labels, number_text(total))
        lines += sample(f"{self._name}_count", labels, str(cumulative[-1]))
        if self.exemplars:
            lines += sample(f"{self._name}_created", labels, time_text(start_unix_nano))
        return lines


def _with_exemplars(buckets: str, exemplars: Mapping[int, str]) -> str:
    lines = buckets.split("\n")
    for bucket, text in exemplars.items():
        lines[bucket] += text
    return "\n".join(lines)
