"""Key performance indicators (KPIs) of a service: which names it may record, and with which attributes.

[kpi.contracts_signed]
kind = "counter"                        # amounts that add up
attributes = ["country", "client"]      # optional

[kpi.open_orders]
kind = "gauge"                          # a current value
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trust_otel.metrics.business import BUILT_IN, SHORT_NAMES
from trust_otel.privacy.pii import looks_private
from trust_otel.semconv.attributes import TRUST_KPI_NAME
from trust_otel.toml_file import declarations, meant, shown

_KEYS: Final = ("kind", "attributes")
_KINDS: Final = ("counter", "gauge")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Kpi:
    """A KPI that a service may record.

    Attributes:
        name: Value of `trust.kpi.name`.
        kind: `counter` for amounts that add up, `gauge` for a current value.
        attributes: Full names of its attributes, each of which may be left out.
    """

    name: str
    kind: str
    attributes: frozenset[str] = frozenset()


def read_kpis(path: str | Path) -> tuple[Kpi, ...]:
    """Read the KPIs of a TOML file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The content is invalid; the message names each problem and a fix.
    """
    tables = declarations(
        path,
        "kpi",
        "KPI",
        limit=TRUST_KPI_NAME.limit,
        setting="TRUST_OTEL_BUSINESS_METRICS_FILE",
        problems=_problems,
    )
    return tuple(
        Kpi(name, table["kind"], frozenset(SHORT_NAMES.get(each, each) for each in table.get("attributes", ())))
        for name, table in tables.items()
    )


def _problems(name: str, table: object) -> Iterator[str]:
    if not _NAME.fullmatch(name) or looks_private(name):
        yield "take a name of a letter and up to 63 letters, digits, `_`, `.` and `-` that is not anybody's data"
    if name in BUILT_IN:
        yield "this business metric exists already; take another name"
    if not isinstance(table, dict):
        yield f"{shown(table)} is not a table; write [kpi.NAME] and its keys below"
        return
    for key in table:
        if key not in _KEYS:
            yield f"there is no key {shown(key)}{meant(key, _KEYS)}; the keys are {', '.join(_KEYS)}"
    kind = table.get("kind")
    if kind not in _KINDS:
        yield (
            f"kind = {shown(kind)} is not usable{meant(kind, _KINDS)}; set counter for amounts that add up, or gauge "
            "for a current value"
        )
    yield from _attribute_problems(table.get("attributes", []))


def _attribute_problems(attributes: object) -> Iterator[str]:
    if not isinstance(attributes, list):
        yield f"attributes = {shown(attributes)} is no list; write attributes = [NAME]"
        return
    for each in attributes:
        if not isinstance(each, str) or (each not in SHORT_NAMES and each not in SHORT_NAMES.values()):
            perhaps = meant(each, tuple(SHORT_NAMES))
            yield f"there is no attribute {shown(each)}{perhaps}; take some of {', '.join(SHORT_NAMES)}"
