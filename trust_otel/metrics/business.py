"""Documents, money, satisfaction and service levels."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from trust_otel.metrics.client import client_label
from trust_otel.metrics.family import Family, outcome
from trust_otel.metrics.operation import Operation
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import BoundedCounter, BoundedHistogram, Instruments, Record, finite
from trust_otel.recording.labels import Labels, LabelValue
from trust_otel.recording.self_metrics import shown_name
from trust_otel.recording.series import SlaEvaluator
from trust_otel.semconv.attributes import TRUST_CLIENT_NAME
from trust_otel.semconv.metrics import (
    TRUST_COST_AMOUNT,
    TRUST_CUSTOMER_SATISFACTION,
    TRUST_DOCUMENT_PROCESSING_DURATION,
    TRUST_FEE_AMOUNT,
    TRUST_KPI_AMOUNT,
    TRUST_KPI_VALUE,
    TRUST_REFUND_AMOUNT,
    TRUST_REVENUE_AMOUNT,
    TRUST_SLA_EVENTS,
    TRUST_SLA_OBJECTIVE,
)

if TYPE_CHECKING:
    from trust_otel.metrics.kpi import Kpi
    from trust_otel.metrics.sla import Sla
    from trust_otel.settings import Limits

_logger = logging.getLogger(__name__)

SHORT_NAMES: Final = {
    "currency": "trust.currency",
    "country": "geo.country.iso_code",
    "client": "trust.client.name",
}
"""Short names of the attributes that business metrics have."""

BUILT_IN: Final = ("revenue", "refund", "fee", "cost", "customer_satisfaction")
"""Business metrics that need no declaration."""

_MOST_SHOWN: Final = 20  # names in one message

# By name. All objects that record with the same instruments take the same KPIs.
_kpis: WeakKeyDictionary[Instruments, Mapping[str, Kpi]] = WeakKeyDictionary()


class BusinessMetrics(Family):
    """Business signals."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._documents = instruments.histogram(TRUST_DOCUMENT_PROCESSING_DURATION)
        self._sla_events = instruments.counter(TRUST_SLA_EVENTS)
        self._sla_objectives = instruments.gauge(TRUST_SLA_OBJECTIVE)
        self._sla_warned: set[str] = set()
        self._business_values: dict[str, BoundedCounter | BoundedHistogram] = {
            "revenue": instruments.counter(TRUST_REVENUE_AMOUNT),
            "refund": instruments.counter(TRUST_REFUND_AMOUNT),
            "fee": instruments.counter(TRUST_FEE_AMOUNT),
            "cost": instruments.counter(TRUST_COST_AMOUNT),
            "customer_satisfaction": instruments.histogram(TRUST_CUSTOMER_SATISFACTION, least=1, most=5),
        }
        self._bound: dict[tuple[str, tuple[tuple[str, object], ...]], Record] = {}

    def record_business_metric(self, name: str, value: float, attributes: Mapping[str, object] | None = None) -> None:
        """Record a value of the business.

        Args:
            name: `revenue`, `refund` (revenue that is paid back), `fee` or `cost` (amounts of 0 or more), or
                `customer_satisfaction` (a score from 1 to 5), or a KPI that TRUST_OTEL_BUSINESS_METRICS_FILE declares.
            value: In units of the currency, or the score.
            attributes: `currency` (ISO 4217), `country` (ISO 3166-1, two letters), `client`; their full names in the
                conventions work too.
        """
        try:
            record = self._bound[name, tuple(attributes.items()) if attributes else ()]
        except Exception:  # not bound yet, or an invalid argument
            record = self.bind_business_metric(name, attributes)
        record(value)

    def bind_business_metric(self, name: str, attributes: Mapping[str, object] | None = None) -> Record:
        """A function that records values of one business metric under the same attributes, for a hot loop.

        Args:
            name: As in `record_business_metric`.
            attributes: As in `record_business_metric`.
        """
        try:
            instrument = self._business_values.get(name)
            given = tuple(attributes.items()) if attributes else ()
            labels = {SHORT_NAMES.get(key, key): part for key, part in given}
        except Exception:  # a name that cannot be looked up, attributes that are no mapping
            return self._report_arguments
        if instrument is None:
            # Looked up when it is recorded: the file may change.
            return partial(self._record_kpi, name, labels)
        record = instrument.bind(labels)
        # Only what is recorded unchanged: what clients vary must not fill the memory.
        if instrument.kept_series(labels) is not None:
            self._bound[name, given] = record
        return record

    @fail_open
    def set_kpis(self, kpis: Iterable[Kpi]) -> None:
        """Record these KPIs from now on, and no others.

        Args:
            kpis: As `trust_otel.metrics.kpi.read_kpis` returns them, each name once.
        """
        before, wanted = self._kpis, {kpi.name: kpi for kpi in kpis}
        _kpis[self._instruments] = wanted
        for name, kpi in before.items():
            if kpi.kind == "gauge" and wanted.get(name) != kpi:
                self._instruments.gauge(TRUST_KPI_VALUE).remove({"trust.kpi.name": name})
        for name, kpi in wanted.items():
            if kpi.kind == "counter" and not kpi.attributes:
                # Exported as 0 from the start, so that the first amount is seen.
                self._instruments.counter(TRUST_KPI_AMOUNT)(0, {"trust.kpi.name": name})

    @property
    def _kpis(self) -> Mapping[str, Kpi]:
        return _kpis.get(self._instruments, {})

    @fail_open
    def _record_kpi(self, name: str, labels: Mapping[str, object], value: float) -> None:
        kpi = self._kpis.get(name)
        if kpi is None:
            self._report_unknown(name)
            return
        number = finite(value)
        if number is None:
            self._dropped.report("invalid_value", name, lambda: f"KPI {name!r} takes a finite number")
        elif number < 0 and kpi.kind == "counter":
            self._dropped.report(
                "negative_value", name, lambda: f'KPI {name!r} takes only amounts of 0 or more; set kind = "gauge"'
            )
        else:
            declared = {key: part for key, part in labels.items() if self._is_declared(kpi, key)}
            record = (
                self._instruments.counter(TRUST_KPI_AMOUNT)
                if kpi.kind == "counter"
                else self._instruments.gauge(TRUST_KPI_VALUE).set
            )
            record(number, {"trust.kpi.name": name, **declared})

    def _is_declared(self, kpi: Kpi, attribute: str) -> bool:
        if attribute in kpi.attributes:
            return True
        shown = shown_name(attribute)
        self._dropped.report(
            "unknown_attribute",
            f"{kpi.name} {shown}",
            lambda: f"KPI {kpi.name!r} has no attribute {shown}; declare it in TRUST_OTEL_BUSINESS_METRICS_FILE",
        )
        return False

    def _report_unknown(self, name: object) -> None:
        shown = shown_name(name)
        known = ", ".join([*self._business_values, *self._kpis][:_MOST_SHOWN])
        self._dropped.report(
            "unknown_metric",
            shown,
            lambda: (
                f"unknown business metric {shown}; known: {known}; declare others in TRUST_OTEL_BUSINESS_METRICS_FILE"
            ),
        )

    def _report_arguments(self, _value: float) -> None:
        self._dropped.report(
            "attribute_type",
            "record_business_metric",
            lambda: "record_business_metric takes a name, an amount and a mapping of attributes",
        )

    def document_processing(
        self, document_type: str, *, country: str | None = None, client: str | None = None
    ) -> DocumentProcessing:
        """Measure the processing of a document, as a context manager or a decorator, sync or async.

        Args:
            document_type: Type of the document.
            country: Country of origin (ISO 3166-1, two letters).
            client: Who sent it, if TRUST_OTEL_CLIENT_NAMES lists clients; by default the client of the request.
        """
        return DocumentProcessing(self._documents, self._instruments.limits, document_type, country, client)

    @fail_open
    def record_sla_event(self, name: str, *, met: bool, client: str | None = None) -> None:
        """Count an event of the SLA of this name, unless TRUST_OTEL_SLA_FILE declares that SLA.

        Args:
            name: Name of the SLA.
            met: Whether it was met.
            client: Whose event it is, if TRUST_OTEL_CLIENT_NAMES lists clients; by default the client of the request.
        """
        if not self._is_in_file(name):
            self._sla_events(1, _sla_labels(name, met=met, client=self._client(client)))

    def _client(self, name: object = None) -> str | None:
        return client_label(self._instruments.limits, name)

    @fail_open
    def set_sla_objective(self, name: str, share: float) -> None:
        """Set the objective of an SLA as a share of its events, from 0 to 1, unless TRUST_OTEL_SLA_FILE declares it."""
        number = finite(share)
        if number is not None and not 0 <= number <= 1:
            self._dropped.report(
                "invalid_value", "set_sla_objective", lambda: "the objective of an SLA is a share from 0 to 1"
            )
        elif not self._is_in_file(name):
            self._sla_objectives.set(share, {"trust.sla.name": name})

    @fail_open
    def set_slas(self, slas: Iterable[Sla]) -> None:
        """Evaluate each measurement against these SLAs as it is recorded, and against no others.

        Events that the service records itself under their names are dropped, so that no event counts twice.

        Args:
            slas: As `trust_otel.metrics.sla.read_slas` returns them, each name once.
        """
        wanted = {sla.name: sla for sla in slas}
        for name in self._instruments.sla_names - wanted.keys():
            self._sla_objectives.remove({"trust.sla.name": name})
        self._instruments.sla_names = frozenset(wanted)
        evaluators: defaultdict[str, list[SlaEvaluator]] = defaultdict(list)
        for sla in wanted.values():
            self._sla_objectives.set(sla.objective, {"trust.sla.name": sla.name})
            evaluators[sla.metric].append(self._evaluator(sla))
        self._instruments.evaluate_slas({metric: tuple(some) for metric, some in evaluators.items()})

    def _evaluator(self, sla: Sla) -> SlaEvaluator:
        count_met = self._sla_events.bind(_sla_labels(sla.name, met=True))
        count_failed = self._sla_events.bind(_sla_labels(sla.name, met=False))
        # Exported as 0 from the start: an alert misses a counter that starts at 1.
        count_met(0)
        count_failed(0)

        def record(most: float, amount: float) -> None:
            (count_met if amount <= most else count_failed)(1)

        def record_by_client(most: float, given: LabelValue | None, amount: float) -> None:
            client = self._client() if given is None else given
            if client is None:
                record(most, amount)
            else:
                self._sla_events(1, _sla_labels(sla.name, met=amount <= most, client=client))

        def evaluate(labels: Labels) -> Callable[[float], None] | None:
            most = sla.most(labels)
            if most is None:
                return None
            if not self._instruments.limits.client_names:
                return partial(record, most)
            return partial(record_by_client, most, labels.get(TRUST_CLIENT_NAME.name))

        return evaluate

    def _is_in_file(self, name: str) -> bool:
        if not isinstance(name, str) or name not in self._instruments.sla_names:
            return False
        if name not in self._sla_warned:
            self._sla_warned.add(name)
            _logger.warning(
                "trust-otel: TRUST_OTEL_SLA_FILE declares the SLA %r; what the service records for it is dropped",
                name,
            )
        return True


def _sla_labels(name: str, *, met: bool, client: object = None) -> dict[str, object]:
    labels: dict[str, object] = {"trust.sla.name": name, "trust.outcome": outcome(met)}
    return labels if client is None else {**labels, TRUST_CLIENT_NAME.name: client}


class DocumentProcessing(Operation):
    """The processing of a document between its start and its end."""

    def __init__(
        self, duration: BoundedHistogram, limits: Limits, document_type: str, country: str | None, client: str | None
    ) -> None:
        self._duration = duration
        self._limits = limits
        self._document_type = document_type
        self._country = country
        self._client = client

    def _begin(self) -> None:
        pass

    def _end(self, seconds: float, outcome: str, reason: str | None) -> None:
        labels = {
            "trust.document.type": self._document_type,
            "trust.outcome": outcome,
            "geo.country.iso_code": self._country,
        }
        client = client_label(self._limits, self._client)
        if client is not None:
            labels[TRUST_CLIENT_NAME.name] = client
        self._duration(seconds, labels)
