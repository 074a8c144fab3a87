"""Translates names of OpenTelemetry's metrics and attributes to Prometheus.

The strategy is `UnderscoreEscapingWithSuffixes`, the default of Prometheus' OTLP receiver and of the Collector's
Prometheus exporter. Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".
"""

from __future__ import annotations

import re

_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def family_name(name: str, unit: str, *, monotonic: bool = False, gauge: bool = False) -> str:
    """Name of a metric family, without the `_bucket`, `_sum` and `_count` of a histogram.

    Args:
        name: Dotted name of the instrument.
        unit: UCUM unit; an annotation in braces is ignored.
        monotonic: Whether it is a counter, which gets the suffix `_total`.
        gauge: Whether it is a gauge, which gets the suffix `_ratio` if the unit is `1`.
    """
    words = [word for word in _NOT_IN_NAME.split(name) if word]
    main, _, per = unit.partition("/")
    unit_word = _unit_word(main, _UNITS)
    if unit_word and unit_word not in words:
        words.append(unit_word)
    per_word = _unit_word(per, _PER_UNITS)
    if per_word:
        words += ["per", per_word]
    if monotonic:
        words = _moved_to_end(words, "total")
    if gauge and unit == "1":
        words = _moved_to_end(words, "ratio")
    family = "_".join(words)
    return f"_{family}" if family[:1].isdigit() else family


def unit_name(unit: str, *, gauge: bool = False) -> str:
    """Words for a unit at the end of the name of a family, such as `bytes_per_second`; empty for none.

    Args:
        unit: UCUM unit; an annotation in braces is ignored.
        gauge: Whether it is a gauge, whose unit `1` is `ratio`.
    """
    if gauge and unit == "1":
        return "ratio"
    main, _, per = unit.partition("/")
    per_word = _unit_word(per, _PER_UNITS)
    return "_".join(word for word in (_unit_word(main, _UNITS), per_word and f"per_{per_word}") if word)


def label_name(attribute: str) -> str:
    """Name of the label of an attribute."""
    label = _NOT_IN_LABEL.sub("_", attribute)
    return f"key_{label}" if label[:1].isdigit() else label


def _unit_word(unit: str, words: dict[str, str]) -> str:
    unit = unit.strip()
    if "{" in unit or "}" in unit:
        return ""
    return _NOT_IN_NAME.sub("_", words.get(unit, unit)).strip("_")


def _moved_to_end(words: list[str], word: str) -> list[str]:
    return [other for other in words if other != word] + [word]
