"""Documents, money, satisfaction and service levels."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from trust_otel.metrics.family import Family, fail_open, outcome
from trust_otel.metrics.operation import Operation
from trust_otel.recording.instruments import Distribution, Instruments, Judge, Sum, finite
from trust_otel.recording.labels import Labels
from trust_otel.semconv.metrics import (
    TRUST_COST_AMOUNT,
    TRUST_CUSTOMER_SATISFACTION,
    TRUST_DOCUMENT_PROCESSING_DURATION,
    TRUST_FEE_AMOUNT,
    TRUST_REVENUE_AMOUNT,
    TRUST_SLA_EVENTS,
    TRUST_SLA_OBJECTIVE,
)

if TYPE_CHECKING:
    from trust_otel.metrics.sla import Agreement

_logger = logging.getLogger(__name__)

_SHORT_NAMES = {
    "currency": "trust.currency",
    "country": "geo.country.iso_code",
    "client": "trust.client.name",
}


class BusinessMetrics(Family):
    """What a product owner watches."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._documents = instruments.histogram(TRUST_DOCUMENT_PROCESSING_DURATION)
        self._sla_events = instruments.counter(TRUST_SLA_EVENTS)
        self._sla_objectives = instruments.table(TRUST_SLA_OBJECTIVE)
        self._sla_told: set[str] = set()
        self._business_values: dict[str, Sum | Distribution] = {
            "revenue": instruments.counter(TRUST_REVENUE_AMOUNT),
            "fee": instruments.counter(TRUST_FEE_AMOUNT),
            "cost": instruments.counter(TRUST_COST_AMOUNT),
            "customer_satisfaction": instruments.histogram(TRUST_CUSTOMER_SATISFACTION),
        }

    @fail_open
    def record_business_metric(self, name: str, value: float, attributes: Mapping[str, object] | None = None) -> None:
        """Record a value of the business.

        Args:
            name: `revenue`, `fee` or `cost` (amounts of 0 or more; record what is paid back as a cost), or
                `customer_satisfaction` (a score from 1 to 5).
            value: In units of the currency, or the score.
            attributes: `currency` (ISO 4217), `country` (ISO 3166-1, two letters), `client`; their full names in the
                conventions serve as well.
        """
        try:
            record = self._business_values.get(name)
            if record is None:
                self._instruments.loss.count("unknown_metric")
                return
            score = finite(value) if name == "customer_satisfaction" else None
            if score is not None and not 1 <= score <= 5:
                self._instruments.loss.count("negative_value" if score < 0 else "invalid_value")
                return
            record(value, {_SHORT_NAMES.get(key, key): part for key, part in (attributes or {}).items()})
        except (AttributeError, TypeError):  # a name that cannot be looked up, attributes that are no mapping
            self._instruments.loss.count("attribute_type")

    def document_processing(self, document_type: str, *, country: str | None = None) -> DocumentProcessing:
        """Measure the processing of a document, as a context manager or a decorator, sync or async."""
        return DocumentProcessing(self._documents, document_type, country)

    @fail_open
    def record_sla_event(self, name: str, *, met: bool) -> None:
        """Count an event that the agreement of this name judges, unless TRUST_OTEL_SLA_FILE has that agreement."""
        if not self._is_in_file(name):
            self._sla_events(1, _sla_labels(name, met=met))

    @fail_open
    def set_sla_objective(self, name: str, share: float) -> None:
        """Say which share of events, from 0 to 1, the agreement of this name wants met; the file's own share stays."""
        number = finite(share)
        if number is not None and not 0 <= number <= 1:
            self._instruments.loss.count("invalid_value")
        elif not self._is_in_file(name):
            self._sla_objectives.set(share, {"trust.sla.name": name})

    @fail_open
    def set_agreements(self, agreements: Iterable[Agreement]) -> None:
        """Judge each measurement by these agreements as it is recorded, and by no others.

        What a service itself says under their names counts no more, so that no event counts twice.

        Args:
            agreements: As `trust_otel.metrics.sla.read_agreements` gives them, each name once.
        """
        wanted = {agreement.name: agreement for agreement in agreements}
        for name in self._instruments.agreements - wanted.keys():
            self._sla_objectives.remove({"trust.sla.name": name})
        self._instruments.agreements = frozenset(wanted)
        judges: defaultdict[str, list[Judge]] = defaultdict(list)
        for agreement in wanted.values():
            self._sla_objectives.set(agreement.objective, {"trust.sla.name": agreement.name})
            judges[agreement.metric].append(self._judge(agreement))
        self._instruments.judge({metric: tuple(some) for metric, some in judges.items()})

    def _judge(self, agreement: Agreement) -> Judge:
        met, failed = _sla_labels(agreement.name, met=True), _sla_labels(agreement.name, met=False)
        events = self._sla_events
        # Shown as 0 before the first, which an alert must not miss.
        events(0, met)
        events(0, failed)

        def record(most: float, amount: float) -> None:
            events(1, met if amount <= most else failed)

        def judge(labels: Labels) -> Callable[[float], None] | None:
            most = agreement.most(labels)
            return None if most is None else partial(record, most)

        return judge

    def _is_in_file(self, name: str) -> bool:
        if not isinstance(name, str) or name not in self._instruments.agreements:
            return False
        if name not in self._sla_told:
            self._sla_told.add(name)
            _logger.warning(
                "trust-otel: the agreement %r is judged by TRUST_OTEL_SLA_FILE; what the service records of it is left "
                "out",
                name,
            )
        return True


def _sla_labels(name: str, *, met: bool) -> dict[str, object]:
    return {"trust.sla.name": name, "trust.outcome": outcome(met)}


class DocumentProcessing(Operation):
    """The processing of a document between its start and its end."""

    def __init__(self, duration: Distribution, document_type: str, country: str | None) -> None:
        super().__init__()
        self._duration = duration
        self._document_type = document_type
        self._country = country

    def _begin(self) -> None:
        pass

    def _end(self, seconds: float, outcome: str, reason: str | None) -> None:
        self._duration(
            seconds,
            {
                "trust.document.type": self._document_type,
                "trust.outcome": outcome,
                "geo.country.iso_code": self._country,
            },
        )
