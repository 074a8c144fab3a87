"""The only place where instruments are made: from the vocabulary, on OpenTelemetry's public API, bounded and safe.

Nothing here raises into the caller. What cannot be recorded is counted in `trust.otel.dropped`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from math import inf, isfinite
from numbers import Real
from operator import add
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation, get_meter

from trust_otel import forks
from trust_otel.recording.labels import NO_LABELS, Labels, LabelSets, LabelValue
from trust_otel.recording.self_metrics import DroppedMeasurements, Heartbeat, Uptime
from trust_otel.recording.series import (
    EXACT,
    CounterSeries,
    HistogramSeries,
    Listener,
    Sampler,
    SlaEvaluator,
)
from trust_otel.recording.series_collection import SeriesCollection, collected_apart
from trust_otel.recording.shared_cells import new_counter_series, new_histogram_series
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import (
    PROCESS_UPTIME,
    TRUST_FEE_AMOUNT,
    TRUST_OTEL_DROPPED,
    TRUST_OTEL_INSTANCE_UP,
    TRUST_OTEL_OVERFLOW,
    TRUST_REVENUE_AMOUNT,
)
from trust_otel.settings import Limits
from trust_otel.version import SCHEMA_URL, __version__

Record = Callable[[float], None]
"""Records an amount under fixed labels."""

Observations = Callable[[], Iterable[tuple[float, Mapping[str, object]]]]


class CollectedCounter:
    """A counter or up-down counter whose series are here; after `record_in_sdk`, the SDK reads them when it collects.

    Args:
        metric: What it counts.
        cells: Returns the series.

    Attributes:
        instrument: The instrument of the SDK, or its proxy while there is no SDK; its callback is `observations`.
    """

    __slots__ = ("_cells", "_recorded_by_sdk", "instrument", "metric")

    def __init__(self, metric: Metric, cells: Callable[[], list[CounterSeries]]) -> None:
        self.metric = metric
        self.instrument: object = None
        self._cells = cells
        self._recorded_by_sdk = False

    def record_in_sdk(self) -> None:
        """Leave the series to the SDK from now on."""
        self._recorded_by_sdk = True

    def series(self) -> list[CounterSeries]:
        """The series, unless they are left to the SDK."""
        return [] if self._recorded_by_sdk else self._cells()

    def observations(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Callback of the instrument: nothing for a collection that gets the series themselves."""
        if collected_apart(self):
            return []
        return [Observation(series.exported_value(), series.labels) for series in self._cells()]


class BoundedCounter(CollectedCounter):
    """A counter or up-down counter that adds amounts.

    Args:
        metric: What it counts.
        limits: Bounds on labels.
        dropped: Counts what cannot be recorded.
        may_fall: Whether amounts may be negative.
    """

    __slots__ = ("_dropped", "_least", "_lock", "_series")

    def __init__(self, metric: Metric, limits: Limits, dropped: DroppedMeasurements, *, may_fall: bool) -> None:
        self._series: LabelSets[CounterSeries] = LabelSets(metric, limits, dropped, partial(new_counter_series, metric))
        super().__init__(metric, self._series.cells)
        self._dropped = dropped
        self._least = 1 - EXACT if may_fall else 0
        self._lock = threading.RLock()

    def __call__(self, amount: float, attributes: Mapping[str, object] = NO_LABELS) -> None:
        """Add an amount, in the metric's unit."""
        try:
            if (type(amount) is int or type(amount) is float) and self._least <= amount < EXACT:
                self._series.cell(attributes).add(amount)
            else:
                self._add_checked(amount, attributes)
        except Exception:
            self._dropped.count("internal_error")

    def count(self, attributes: Mapping[str, object]) -> Labels:
        """Add 1; returns the labels of the series. May raise."""
        series = self._series.cell(attributes)
        series.add(1)
        return series.labels

    def kept_series(self, attributes: Mapping[str, object]) -> CounterSeries | None:
        """The series with just these attributes, none of them changed; `None` without an amount under them so far.

        Its `add` takes valid amounts only.
        """
        return self._series.kept(attributes)

    def bind(self, attributes: Mapping[str, object] = NO_LABELS) -> Record:
        """A function that adds an amount under these attributes, and looks them up only once."""
        given = dict(attributes)
        least, dropped = self._least, self._dropped
        add_to_series: Record | None = None

        def add(amount: float) -> None:
            nonlocal add_to_series
            try:
                if add_to_series is None:
                    self(amount, given)
                    # Otherwise each amount must be counted as changed, or as past a limit.
                    if (series := self._series.kept(given)) is not None:
                        add_to_series = series.add
                elif (type(amount) is int or type(amount) is float) and least <= amount < EXACT:
                    add_to_series(amount)
                else:
                    self._add_checked(amount, given)
            except Exception:
                dropped.count("internal_error")

        return add

    def restart_in_child(self) -> None:
        """Add up from 0 in a forked process: the parent exports what was added before."""
        self._lock = threading.RLock()
        self._series.restart_in_child()
        for series in self._series.cells():
            series.restart()

    def _add_checked(self, amount: object, attributes: Mapping[str, object]) -> None:
        number = _accepted(amount, self.metric.name, self._dropped, may_fall=self._least < 0)
        if number is None:
            return
        series = self._series.cell(attributes)
        # For two threads that each add half of the largest float.
        with self._lock:
            finite_sum = isfinite(series.value + number)
            if finite_sum:
                series.add(number)
        if not finite_sum:
            self._dropped.count("invalid_value")


class BoundedHistogram:
    """A histogram. Its series are here; `record_in_sdk` leaves them to the SDK.

    Args:
        metric: What it measures.
        instrument: The instrument of the SDK, or its proxy while there is no SDK.
        limits: Bounds on labels.
        dropped: Counts what cannot be recorded.
        created: Called for each new series.
        least: Smallest valid amount.
        most: Largest valid amount.
    """

    __slots__ = (
        "_created",
        "_dropped",
        "_evaluators",
        "_least",
        "_listener",
        "_most",
        "_most_unchecked",
        "_recorded_by_sdk",
        "_sample",
        "_series",
        "instrument",
        "metric",
    )

    def __init__(
        self,
        metric: Metric,
        instrument: Histogram,
        limits: Limits,
        dropped: DroppedMeasurements,
        created: Callable[[], None],
        *,
        least: float = 0,
        most: float = inf,
    ) -> None:
        self.metric = metric
        self.instrument = instrument
        self._series = LabelSets(metric, limits, dropped, self._new_series)
        self._dropped = dropped
        self._created = created
        self._least = least
        self._most = most
        # Above it are infinity, and integers that the protocol may not hold.
        self._most_unchecked = min(most, EXACT)
        self._evaluators: tuple[SlaEvaluator, ...] = ()
        self._sample: Sampler | None = None
        self._recorded_by_sdk = False
        self._listener: Listener | None = None

    def __call__(self, amount: float, attributes: Mapping[str, object] = NO_LABELS) -> None:
        """Record an amount, in the metric's unit."""
        try:
            number: float | None = amount
            # Not `_valid` for what nearly all are: it takes as long as the rest.
            known = type(amount) is float or type(amount) is int
            if not known or not self._least <= amount <= self._most_unchecked:
                number = self._valid(amount)
            if number is not None:
                self._series.cell(attributes).record(number)
        except Exception:
            self._dropped.count("internal_error")

    def kept_series(self, attributes: Mapping[str, object]) -> HistogramSeries | None:
        """The series with just these attributes, none of them changed; `None` without an amount under them so far.

        Its `record` takes valid amounts only, and may raise.
        """
        return self._series.kept(attributes)

    def bind(self, attributes: Mapping[str, object] = NO_LABELS) -> Record:
        """A function that records an amount under these attributes, and looks them up only once."""
        given = dict(attributes)
        least, most = self._least, self._most_unchecked
        record_in_series: Record | None = None

        def record(amount: float) -> None:
            nonlocal record_in_series
            try:
                if record_in_series is None:
                    self(amount, given)
                    # Otherwise each amount must be counted as changed, or as past a limit.
                    if (series := self._series.kept(given)) is not None:
                        record_in_series = series.record
                elif (type(amount) is float or type(amount) is int) and least <= amount <= most:
                    record_in_series(amount)
                else:
                    self(amount, given)
            except Exception:
                self._dropped.count("internal_error")

        return record

    def record_in_sdk(self) -> None:
        """Record with the instrument of the SDK from now on."""
        self._recorded_by_sdk = True
        self._listen()

    def sample_with(self, sample: Sampler | None) -> None:
        """Keep exemplars with this function, or none."""
        if sample is not self._sample:
            self._sample = sample
            self._listen()

    def evaluate_by(self, evaluators: tuple[SlaEvaluator, ...]) -> None:
        """Pass each amount to these from now on, and to no others."""
        self._evaluators = evaluators
        self._listen()

    def series(self) -> list[HistogramSeries]:
        """The series that are recorded here."""
        return [] if self._recorded_by_sdk else self._series.cells()

    def restart_in_child(self) -> None:
        """Count from 0 in a forked process: the parent exports what was recorded before."""
        self._series.restart_in_child()
        for series in self._series.cells():
            series.restart()

    def _valid(self, amount: object) -> float | None:
        """The amount as a number, or `None` after it was counted as dropped."""
        metric, least, most = self.metric.name, self._least, self._most
        number = _accepted(amount, metric, self._dropped)
        if number is not None and not least <= number <= most:
            self._dropped.report(
                "invalid_value", metric, lambda: f"{metric} takes only amounts from {least:g} to {most:g}"
            )
            return None
        return number

    def _new_series(self, labels: Labels) -> HistogramSeries:
        self._created()
        series = new_histogram_series(self.metric, labels)
        series.listener = self._listener
        return series

    def _listen(self) -> None:
        """Set the listener of every series; none where amounts are only counted."""
        listeners: list[Listener] = [self._evaluate] if self._evaluators else []
        if self._recorded_by_sdk:
            listeners.append(self._pass_to_sdk)
        elif self._sample is not None:
            listeners.append(self._sample)
        # First: a series that another thread is creating has the old one, or is among the cells.
        self._listener = _all(listeners)
        for series in self._series.cells():
            series.listener = self._listener

    def _pass_to_sdk(self, series: HistogramSeries, amount: float) -> None:
        self.instrument.record(amount, series.labels)

    def _evaluate(self, series: HistogramSeries, amount: float) -> None:
        evaluators = self._evaluators
        known, concerned = series.evaluators
        if known is not evaluators:
            concerned = tuple(record for evaluator in evaluators if (record := evaluator(series.labels)) is not None)
            series.evaluators = evaluators, concerned
        for record in concerned:
            record(amount)


def _all(listeners: Sequence[Listener]) -> Listener | None:
    if len(listeners) < 2:
        return listeners[0] if listeners else None

    def listen(series: HistogramSeries, amount: float) -> None:
        for listener in listeners:
            listener(series, amount)

    return listen


class PositionalLabels:
    """Records under attributes whose names are always the same, given in their order: faster than a mapping.

    Args:
        instrument: Where to record.
        names: Names of the attributes.
        fixed: Further attributes, whose values never change.
    """

    __slots__ = ("_bound", "_fixed", "_instrument", "_names")

    def __init__(
        self, instrument: BoundedCounter | BoundedHistogram, *names: str, fixed: Mapping[str, object] = NO_LABELS
    ) -> None:
        self._instrument = instrument
        self._names = names
        self._fixed = fixed
        self._bound: dict[tuple[object, ...], Record] = {}

    def __call__(self, amount: float, *values: object) -> None:
        """Record an amount under these values of the attributes; `None` for one that is absent."""
        try:
            record = self._bound[values]
        except Exception:  # not bound yet, or an unhashable value
            record = self._bind(values)
        record(amount)

    def _bind(self, values: tuple[object, ...]) -> Record:
        attributes = {**self._fixed, **dict(zip(self._names, values, strict=True))}
        record = self._instrument.bind(attributes)
        # Only what is recorded unchanged: what clients vary must not fill the memory.
        if self._instrument.kept_series(attributes) is not None:
            self._bound[values] = record
        return record


class BoundedGauge:
    """The current values of a gauge, by label set. A row stays until it is removed."""

    def __init__(self, metric: str, new_labels: Callable[[], LabelSets[_Cell]], dropped: DroppedMeasurements) -> None:
        self._metric = metric
        self._new_labels = new_labels
        self._dropped = dropped
        self._rows = new_labels()

    def set(self, amount: float, attributes: Mapping[str, object] = NO_LABELS) -> None:
        """Put the value of a row."""
        try:
            number = _accepted(amount, self._metric, self._dropped, may_fall=True)
            if number is not None:
                self._rows.cell(attributes).value = number
        except Exception:
            self._dropped.count("internal_error")

    def remove(self, attributes: Mapping[str, LabelValue]) -> None:
        """Remove every row that has these attributes."""
        # Made anew, so that what is gone no longer counts against the limits.
        kept, wanted = self._new_labels(), self._new_labels().cell(attributes).labels
        for cell in self._rows.cells():
            if not wanted.items() <= cell.labels.items():
                kept.cell(cell.labels).value = cell.value
        self._rows = kept

    def observations(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Callback of the instrument."""
        return [Observation(cell.value, cell.labels) for cell in self._rows.cells()]

    def restart_in_child(self) -> None:
        """Keep the rows in a forked process."""
        self._rows.restart_in_child()


class _Cell:
    """The value of a gauge under a label set."""

    __slots__ = ("labels", "value")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.value: float = 0


class Instruments:
    """Makes each instrument of the vocabulary once.

    Args:
        limits: Bounds on labels.
        provider: Where the instruments are made; the global one by default, also when it is set later.
    """

    def __init__(self, limits: Limits, provider: MeterProvider | None = None) -> None:
        self.limits = limits
        self._meter = get_meter("trust_otel", __version__, meter_provider=provider, schema_url=SCHEMA_URL)
        self._made: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._observed: dict[str, list[Observations]] = {}
        self._evaluators: Mapping[str, tuple[SlaEvaluator, ...]] = {}
        self.sla_names: frozenset[str] = frozenset()
        """Names of the SLAs that are evaluated as measurements are recorded."""
        self.dropped = DroppedMeasurements()
        self._collection = SeriesCollection(provider, self.dropped)
        self._create_observable(TRUST_OTEL_DROPPED, self._observe_dropped)
        self._collect(CollectedCounter(TRUST_OTEL_OVERFLOW, self.dropped.overflow_series))
        self._create_observable(TRUST_OTEL_INSTANCE_UP, Heartbeat().observe)
        self._uptime = Uptime()
        self._create_observable(PROCESS_UPTIME, self._uptime.observe)

    def counter(self, metric: Metric) -> BoundedCounter:
        """Adds amounts of 0 or more."""
        return self._once(metric, lambda: self._counter(metric, may_fall=False))

    def up_down_counter(self, metric: Metric) -> BoundedCounter:
        """Adds amounts of either sign."""
        return self._once(metric, lambda: self._counter(metric, may_fall=True))

    def histogram(self, metric: Metric, *, least: float = 0, most: float = inf) -> BoundedHistogram:
        """Sorts amounts in this range, of 0 or more, into the buckets of the vocabulary."""

        def make() -> BoundedHistogram:
            instrument = self._meter.create_histogram(
                metric.name, metric.unit, metric.brief, explicit_bucket_boundaries_advisory=list(metric.buckets)
            )
            histogram = BoundedHistogram(
                metric, instrument, self.limits, self.dropped, self._collection.attach, least=least, most=most
            )
            self._collection.add_histogram(histogram)
            histogram.evaluate_by(self._evaluators.get(metric.name, ()))
            return histogram

        return self._once(metric, make)

    def evaluate_slas(self, evaluators: Mapping[str, tuple[SlaEvaluator, ...]]) -> None:
        """Evaluate each amount of these histograms from now on, and of no others."""
        with self._lock:
            self._evaluators = evaluators
            for name, made in self._made.items():
                if isinstance(made, BoundedHistogram):
                    made.evaluate_by(evaluators.get(name, ()))

    def gauge(self, metric: Metric) -> BoundedGauge:
        """The rows of a gauge."""

        def make() -> BoundedGauge:
            gauge = BoundedGauge(metric.name, lambda: self._cells(metric), self.dropped)
            self._create_observable(metric, gauge.observations)
            return gauge

        return self._once(metric, make)

    def observe(
        self, metric: Metric, observations: Observations, combine: Callable[[float, float], float] = add
    ) -> None:
        """Read the values of a metric at each collection; several callers may supply the same metric.

        Args:
            metric: A metric that is not recorded otherwise.
            observations: Returns pairs of a value and its attributes.
            combine: Combines two values of one label set; adds them by default.
        """
        with self._lock:
            callbacks = self._observed.setdefault(metric.name, [])
            callbacks.append(observations)
        if len(callbacks) == 1:
            self._create_observable(metric, lambda _options: self._collected(metric, callbacks, combine))

    def restart_in_child(self) -> None:
        """Count from 0 in a forked process."""
        self._lock = threading.RLock()
        self.dropped.restart_in_child()
        self._uptime.restart_in_child()
        self._collection.restart_in_child()
        for made in self._made.values():
            made.restart_in_child()

    def _collected(
        self, metric: Metric, callbacks: Iterable[Observations], combine: Callable[[float, float], float]
    ) -> Iterable[Observation]:
        # Anew each time: the limits are for what there is at one time.
        cells = self._cells(metric)
        values: dict[_Cell, float] = {}
        for callback in tuple(callbacks):
            try:
                for amount, attributes in callback():
                    number = _accepted(amount, metric.name, self.dropped, may_fall=True)
                    if number is not None:
                        cell = cells.cell(attributes)
                        values[cell] = combine(values[cell], number) if cell in values else number
            except Exception:
                self.dropped.count("internal_error")
        return [Observation(number, cell.labels) for cell, number in values.items()]

    def _counter(self, metric: Metric, *, may_fall: bool) -> BoundedCounter:
        counter = BoundedCounter(metric, self.limits, self.dropped, may_fall=may_fall)
        self._collect(counter)
        return counter

    def _collect(self, counter: CollectedCounter) -> None:
        counter.instrument = self._create_observable(counter.metric, counter.observations)
        self._collection.add(counter)

    def _observe_dropped(self, options: CallbackOptions) -> Iterable[Observation]:
        # A provider that was set late: its next collection has the series.
        self._collection.attach()
        return self.dropped.observe_dropped(options)

    def _cells(self, metric: Metric) -> LabelSets[_Cell]:
        return LabelSets(metric, self.limits, self.dropped, _Cell)

    def _create_observable(
        self, metric: Metric, callback: Callable[[CallbackOptions], Iterable[Observation]]
    ) -> object:
        create = {
            "counter": self._meter.create_observable_counter,
            "updowncounter": self._meter.create_observable_up_down_counter,
            "gauge": self._meter.create_observable_gauge,
        }[metric.instrument]
        return create(metric.name, [callback], metric.unit, metric.brief)

    def _once(self, metric: Metric, make: Callable[[], _Made]) -> _Made:
        with self._lock:
            if metric.name not in self._made:
                self._made[metric.name] = make()
            made: _Made = self._made[metric.name]
            return made


_shared: WeakKeyDictionary[MeterProvider, Instruments] = WeakKeyDictionary()
_shared_global: list[Instruments] = []
_shared_lock = threading.RLock()


def shared_instruments(limits: Limits, provider: MeterProvider | None) -> Instruments:
    """The one `Instruments` of a provider, so that all who record there add up; the limits are those of the first."""
    with _shared_lock:
        if provider is not None:
            if provider not in _shared:
                _shared[provider] = Instruments(limits, provider)
            return _shared[provider]
        if not _shared_global:
            _shared_global.append(Instruments(limits))
        return _shared_global[0]


def _restart_in_child() -> None:
    """A forked process has an identity of its own, under which the counts of its parent would be counted again."""
    global _shared_lock
    _shared_lock = threading.RLock()
    for instruments in (*_shared_global, *_shared.values()):
        instruments.restart_in_child()


forks.in_child(forks.Step.STATE, _restart_in_child)


_INSTEAD_OF_NEGATIVE: Final = {
    TRUST_REVENUE_AMOUNT.name: "; record what is paid back as refund",
    TRUST_FEE_AMOUNT.name: "; record a fee that is paid back as cost",
}

_Made = TypeVar("_Made", BoundedCounter, BoundedHistogram, BoundedGauge)


def _accepted(amount: object, metric: str, dropped: DroppedMeasurements, *, may_fall: bool = False) -> float | None:
    """The amount as a number, or `None` after it was counted as dropped."""
    number = finite(amount)
    if number is None:
        kind = type(amount).__name__
        dropped.report("invalid_value", metric, lambda: f"{metric} takes a finite number; it was given a {kind}")
    elif number < 0 and not may_fall:
        remedy = _INSTEAD_OF_NEGATIVE.get(metric, "")
        dropped.report("negative_value", metric, lambda: f"{metric} takes only amounts of 0 or more{remedy}")
        return None
    return number


def finite(amount: object) -> float | None:
    """The amount as an int or float, or `None` when it is no finite number."""
    if type(amount) is int and -EXACT < amount < EXACT:
        return amount
    if type(amount) is not float:
        if isinstance(amount, bool) or not isinstance(amount, (Real, Decimal)):
            return None
        try:
            amount = float(amount)
        except (OverflowError, ValueError):
            return None
    return amount if isfinite(amount) else None
