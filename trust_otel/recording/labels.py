"""Cleans the attributes of a measurement and bounds the number of label sets."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from trust_otel.privacy.pii import looks_private
from trust_otel.recording.self_metrics import DroppedMeasurements, shown_name
from trust_otel.semconv.attributes import (
    CLIENT_ADDRESS,
    DB_CLIENT_CONNECTION_POOL_NAME,
    DB_NAMESPACE,
    HTTP_REQUEST_METHOD,
    SERVER_ADDRESS,
    TRUST_CERTIFICATE_CRL_NAME,
    TRUST_CERTIFICATE_NAME,
    TRUST_CERTIFICATE_OCSP_RESPONDER,
    TRUST_CERTIFICATE_PROFILE,
    TRUST_CLIENT_NAME,
    TRUST_CLOCK_SERVER,
    TRUST_DEPENDENCY_NAME,
    TRUST_DOCUMENT_TYPE,
    TRUST_OTEL_SOURCE_NAME,
    TRUST_TRUST_LIST_NAME,
)
from trust_otel.semconv.definitions import Attribute, Metric
from trust_otel.settings import Limits

LabelValue = str | int | float | bool
Labels = Mapping[str, LabelValue]

NO_LABELS: Final[Labels] = {}

_LARGEST: Final = 2**63  # of the protocol's integers

_HOSTS: Final = (
    DB_CLIENT_CONNECTION_POOL_NAME,
    DB_NAMESPACE,
    SERVER_ADDRESS,
    TRUST_CERTIFICATE_CRL_NAME,
    TRUST_CERTIFICATE_NAME,
    TRUST_CERTIFICATE_OCSP_RESPONDER,
    TRUST_CLOCK_SERVER,
    TRUST_DEPENDENCY_NAME,
    TRUST_OTEL_SOURCE_NAME,
    TRUST_TRUST_LIST_NAME,
)
"""Names of what the service runs on, which may be the addresses of hosts."""

_CUT_OFF: Final = 64  # characters behind the cut that are checked too, so that no cut hides what a value is

# Controls, line and paragraph separators, lone surrogates: what breaks a text format, a log or a terminal.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


Cell = TypeVar("Cell")


class LabelSets(Generic[Cell]):
    """The label sets of one metric, each with a cell for what is recorded under it.

    An attribute that the metric does not declare is left out. A value that its attribute does not allow, one that looks
    like data of a person or a secret, and every new value past the attribute's limit become the attribute's `other`.
    Past the limit of label sets the open attributes of a new set all become `other`, while those with few values stay,
    so that sums by outcome remain true.
    """

    def __init__(
        self, metric: Metric, limits: Limits, dropped: DroppedMeasurements, make_cell: Callable[[Labels], Cell]
    ) -> None:
        self._metric = metric
        self._limits = limits
        self._dropped = dropped
        self._make_cell = make_cell
        self._attributes = {
            attribute.name: _LabelValues(metric.name, attribute, limits, dropped) for attribute in metric.attributes
        }
        self._known: dict[tuple[tuple[str, object], ...], Cell] = {}
        self._cells: dict[tuple[tuple[str, LabelValue], ...], Cell] = {}
        # Reentrant: a garbage collection may end an operation, and record it, in the middle of a recording.
        self._lock = threading.RLock()

    def cell(self, attributes: Mapping[str, object]) -> Cell:
        """The cell to record in."""
        raw = tuple(attributes.items())
        try:
            cell = self._known.get(raw)
        except TypeError:  # an unhashable value
            cell = None
        return self._admit(raw) if cell is None else cell

    def kept(self, attributes: Mapping[str, object]) -> Cell | None:
        """The cell with just these attributes, none of them changed; `None` if there is none yet."""
        try:
            return self._known.get(tuple(attributes.items()))
        except Exception:  # an unhashable value, or one that fails to compare
            return None

    def cells(self) -> list[Cell]:
        """Every cell."""
        with self._lock:
            return list(self._cells.values())

    def restart_in_child(self) -> None:
        """Renew the lock in a forked process: a thread that only the parent has may hold it."""
        self._lock = threading.RLock()

    def _admit(self, raw: tuple[tuple[str, object], ...]) -> Cell:
        with self._lock:
            labels, overflowed = self._clean(raw)
            identity = tuple(sorted(labels.items()))
            if identity not in self._cells and len(self._cells) >= self._limits.label_sets:
                overflowed = True
                labels = {name: self._attributes[name].folded(value) for name, value in labels.items()}
                identity = tuple(sorted(labels.items()))
            cell = self._cells.get(identity)
            if cell is None:
                if not self._cells:
                    self._dropped.watch(self._metric.name)
                cell = self._cells[identity] = self._make_cell(labels)
            # Kept only where nothing was changed: what clients vary must not fill the memory.
            if all(value is None or labels.get(name) == value for name, value in raw):
                self._known[raw] = cell
        self._dropped.log_noted()
        if overflowed:
            self._dropped.overflow(self._metric.name)
        return cell

    def _clean(self, raw: tuple[tuple[str, object], ...]) -> tuple[dict[str, LabelValue], bool]:
        labels: dict[str, LabelValue] = {}
        overflowed = False
        for name, value in raw:
            known = self._attributes.get(name)
            if known is None:
                self._note_unknown(name)
            elif value is not None:
                labels[name], past_limit = known.clean(value)
                overflowed |= past_limit
        return labels, overflowed

    def _note_unknown(self, name: object) -> None:
        metric, shown = self._metric.name, shown_name(name)
        self._dropped.note(
            "unknown_attribute",
            f"{metric} {shown}",
            lambda: f"{metric} has no attribute {shown}; known: {', '.join(self._attributes) or 'none'}",
        )


class _LabelValues:
    """The values of one attribute in one metric."""

    def __init__(self, metric: str, attribute: Attribute, limits: Limits, dropped: DroppedMeasurements) -> None:
        self._metric = metric
        self._attribute = attribute
        self._dropped = dropped
        self._length = limits.attribute_length
        self._limit = attribute.limit
        self._seen: set[LabelValue] = set()
        self._allowed: Callable[[LabelValue], bool] | None = None
        self._counts_unlisted = True
        self._checked_for_pii = not (attribute is CLIENT_ADDRESS or attribute.members or attribute.pattern)
        self._addresses = attribute in _HOSTS
        self._members = tuple(limits.http_methods) if attribute is HTTP_REQUEST_METHOD else attribute.members
        listed = _allow_list(attribute, limits)
        if listed is not None:
            # The list is the bound.
            self._limit = len(listed)
            self._allowed = listed.__contains__
            self._counts_unlisted = self._checked_for_pii = False
        elif self._members:
            self._allowed = frozenset(self._members).__contains__
        elif attribute.pattern:
            pattern = re.compile(attribute.pattern)
            self._allowed = lambda value: pattern.fullmatch(str(value)) is not None

    def clean(self, value: object) -> tuple[LabelValue, bool]:
        """The value to record, and whether it was past the limit of different values."""
        other = self._attribute.other
        held = self._held(value)
        if held is None or held == other or held in self._seen:
            return (other if held is None else held), False
        if isinstance(held, str):
            if self._checked_for_pii and looks_private(held[: self._length + _CUT_OFF], addresses=self._addresses):
                self._note("private_value", f"looks like personal data or a secret; {other!r} is recorded instead")
                return other, False
            held = self._printable(held)
        return self._admitted(held)

    def _admitted(self, value: LabelValue) -> tuple[LabelValue, bool]:
        other = self._attribute.other
        if self._allowed and not self._allowed(value):
            if self._counts_unlisted:
                self._note("unknown_value", f"is not allowed and recorded as {other!r}; {self._allowed_values()}")
            return other, False
        if value not in self._seen:
            if len(self._seen) >= self._limit:
                return other, True
            self._seen.add(value)
        return value, False

    def folded(self, value: LabelValue) -> LabelValue:
        """The value of an overflowing set: as it is when there can be few of them, else `other`."""
        few = bool(self._attribute.members) or self._attribute.type == "int"
        return value if few else self._attribute.other

    def _held(self, value: object) -> LabelValue | None:
        """The value as the attribute's type, or `None` after it was counted as dropped."""
        if self._attribute.type == "int":
            if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST:
                return int(value)
        elif isinstance(value, str):
            # A subclass may have a text of its own, of any length; `str.__str__` gives what is really held.
            return str.__str__(value)
        elif isinstance(value, float) or (isinstance(value, int) and abs(value) < _LARGEST):
            return str(value)
        self._note("attribute_type", f"has the type {type(value).__name__}; pass {self._attribute.type}")
        return None

    def _printable(self, text: str) -> str:
        # Cut first: the cost of cleaning must not grow with what a client sends.
        if len(text) > self._length:
            self._note("attribute_length", "is cut; TRUST_OTEL_ATTRIBUTE_LENGTH sets the limit")
            text = text[: self._length]
        if text.isprintable():
            return text
        clean = _UNPRINTABLE.sub("�", text)
        if clean != text:
            self._note("attribute_encoding", "holds control characters or invalid Unicode, which are replaced")
        return clean

    def _allowed_values(self) -> str:
        members = self._members
        return f"allowed: {', '.join(map(str, members))}" if members else f"it must match {self._attribute.pattern}"

    def _note(self, reason: str, problem: str) -> None:
        name = f"{self._metric}: {self._attribute.name}"
        self._dropped.note(reason, name, lambda: f"a value of {self._attribute.name} in {self._metric} {problem}")


def _allow_list(attribute: Attribute, limits: Limits) -> frozenset[str] | None:
    """The values that the settings list for an attribute, or `None` where they list none."""
    if attribute is TRUST_CLIENT_NAME:
        return limits.client_names
    if attribute is TRUST_CERTIFICATE_PROFILE:
        return limits.certificate_profiles
    if attribute is TRUST_DOCUMENT_TYPE and limits.document_types:
        return limits.document_types
    return None
