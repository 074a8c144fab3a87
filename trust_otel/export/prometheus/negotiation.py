"""Chooses the format and the encoding of an answer from the headers of the request (RFC 9110, section 12)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from trust_otel.export.prometheus.exposition import OPEN_METRICS, TEXT, Format

_OFFERED: Final = (TEXT, OPEN_METRICS)
"""In the order of preference where the client has none."""

_QUOTED: Final = r'"(?:\\.|[^"\\])*"?'
_ELEMENT: Final = re.compile(rf'(?:[^,"]|{_QUOTED})+')
_PARAMETER: Final = re.compile(rf'(?:[^;"]|{_QUOTED})+')
_QUALITY: Final = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")


@dataclass(frozen=True, slots=True)
class _Accepted:
    """An element of `Accept` or `Accept-Encoding`."""

    value: str
    parameters: Mapping[str, str]
    quality: float

    def specificity(self, format_: Format) -> int:
        """How closely it names a format; 0 if it is about others."""
        if self.parameters.get("version", format_.version) != format_.version:
            return 0
        main, _, _ = format_.media_type.partition("/")
        named = {"*/*": 1, f"{main}/*": 2, format_.media_type: 3}.get(self.value, 0)
        return 4 if named == 3 and "version" in self.parameters else named


def chosen_format(accept: str) -> Format:
    """The format with the highest quality; the text format of Prometheus if the client accepts none.

    Args:
        accept: Value of the header `Accept`; empty for none. Of the parameters only `version` and `q` matter: names are
            valid in every scheme of `escaping`, and the text is UTF-8.
    """
    best, chosen = (0.0, 0, 0), TEXT
    for format_ in _OFFERED:
        matching = [
            (specificity, -position, element.quality)
            for position, element in enumerate(_parsed(accept))
            if (specificity := element.specificity(format_))
        ]
        if matching:
            # The quality is that of the closest element; equal ones are decided by how close, then by their order.
            specificity, order, quality = max(matching)
            if quality and (quality, specificity, order) > best:
                best, chosen = (quality, specificity, order), format_
    return chosen


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the client accepts gzip.

    Args:
        accept_encoding: Value of the header `Accept-Encoding`; empty for none.
    """
    qualities = {element.value: element.quality for element in _parsed(accept_encoding)}
    return qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0))) > 0


def _parsed(header: str) -> Iterator[_Accepted]:
    for element in _ELEMENT.findall(header):
        value, *rest = [part.strip() for part in _PARAMETER.findall(element)] or [""]
        pairs = (part.partition("=") for part in rest)
        parameters = {name.strip().lower(): text.strip().strip('"') for name, _, text in pairs}
        quality = parameters.pop("q", "1")
        # An element with an invalid quality is ignored.
        if _QUALITY.fullmatch(quality):
            yield _Accepted(value.lower(), parameters, float(quality))
