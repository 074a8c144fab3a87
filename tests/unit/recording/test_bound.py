"""A function that is bound to its labels records like the instrument, and costs no look-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trust_otel.recording.instruments import Instruments, PositionalLabels
from trust_otel.semconv.metrics import DB_CLIENT_OPERATION_DURATION, TRUST_FEE_AMOUNT, TRUST_SESSION_ACTIVE

_NAMES = ("trust.currency", "geo.country.iso_code")


@pytest.fixture
def instruments(recording: Any) -> Instruments:
    found: Instruments = recording.recorder.instruments
    return found


def test_bound_counter_adds_to_the_series_of_its_labels(recording: Any, instruments: Instruments) -> None:
    counter = instruments.counter(TRUST_FEE_AMOUNT)
    add = counter.bind({"trust.currency": "EUR"})
    assert recording.series("trust.fee.amount") == []
    add(1)
    counter(2, {"trust.currency": "EUR"})
    add(0.5)
    assert recording.value("trust.fee.amount", {"trust.currency": "EUR"}) == 3.5
    assert recording.dropped() == {}


def test_bound_up_down_counter_decreases(recording: Any, instruments: Instruments) -> None:
    add = instruments.up_down_counter(TRUST_SESSION_ACTIVE).bind()
    add(2)
    add(-1)
    assert recording.value("trust.session.active") == 1


def test_bound_histogram_records_in_the_series_of_its_labels(recording: Any, instruments: Instruments) -> None:
    labels = {"db.system.name": "sqlite", "db.operation.name": "SELECT"}
    record = instruments.histogram(DB_CLIENT_OPERATION_DURATION).bind(labels)
    assert recording.series("db.client.operation.duration") == []
    record(0.25)
    record(1)
    ((found, point),) = recording.series("db.client.operation.duration")
    assert (point.count, point.sum, found) == (2, 1.25, labels)


@pytest.mark.parametrize(
    ("amount", "reason"), [(-1, "negative_value"), (float("nan"), "invalid_value"), ("1", "invalid_value")]
)
def test_invalid_amount_is_dropped_and_counted(
    recording: Any, instruments: Instruments, amount: Any, reason: str
) -> None:
    instruments.counter(TRUST_FEE_AMOUNT).bind({"trust.currency": "EUR"})(amount)
    instruments.histogram(DB_CLIENT_OPERATION_DURATION).bind({"db.system.name": "sqlite"})(amount)
    assert recording.dropped() == {reason: 2}
    assert recording.value("trust.fee.amount") == 0
    assert recording.series("db.client.operation.duration") == []


@pytest.mark.parametrize("amount", [2**60, 1e300])
def test_large_amount_is_recorded(recording: Any, instruments: Instruments, amount: float) -> None:
    instruments.counter(TRUST_FEE_AMOUNT).bind({"trust.currency": "EUR"})(amount)
    assert recording.value("trust.fee.amount") == float(amount)


def test_each_amount_under_a_changed_label_is_counted(recording: Any, instruments: Instruments) -> None:
    add = instruments.counter(TRUST_FEE_AMOUNT).bind({"trust.currency": "euro"})
    add(1)
    add(1)
    assert recording.dropped() == {"unknown_value": 2}
    assert recording.value("trust.fee.amount", {"trust.currency": "_other"}) == 2


def test_slas_evaluate_what_a_bound_histogram_records(instruments: Instruments) -> None:
    evaluated: list[float] = []
    histogram = instruments.histogram(DB_CLIENT_OPERATION_DURATION)
    record = histogram.bind({"db.system.name": "sqlite"})
    histogram.evaluate_by((lambda _labels: evaluated.append,))
    record(0.5)
    assert evaluated == [0.5]


def test_positional_labels_record_like_a_mapping(recording: Any, instruments: Instruments) -> None:
    counter = instruments.counter(TRUST_FEE_AMOUNT)
    positional = PositionalLabels(counter, *_NAMES)
    for _ in range(3):
        positional(1, "EUR", "DE")
    counter(1, {"trust.currency": "EUR", "geo.country.iso_code": "DE"})
    positional(1, "EUR", None)
    assert recording.value("trust.fee.amount", {"trust.currency": "EUR", "geo.country.iso_code": "DE"}) == 4
    assert {"trust.currency": "EUR"} in recording.labels("trust.fee.amount")
    assert recording.dropped() == {}


def test_fixed_labels_are_recorded_with_the_positional_ones(recording: Any, instruments: Instruments) -> None:
    positional = PositionalLabels(
        instruments.counter(TRUST_FEE_AMOUNT), "geo.country.iso_code", fixed={"trust.currency": "EUR"}
    )
    for _ in range(3):
        positional(1, "DE")
    positional(1, None)
    assert recording.value("trust.fee.amount", {"trust.currency": "EUR", "geo.country.iso_code": "DE"}) == 3
    assert {"trust.currency": "EUR"} in recording.labels("trust.fee.amount")


class _Unhashable(str):
    __hash__ = None  # type: ignore[assignment]


def _raise_on_comparison() -> object:
    class Hostile(str):
        def __hash__(self) -> int:
            return hash("EUR")

        def __eq__(self, other: object) -> bool:
            raise ValueError("hostile")

    return Hostile("EUR")


@pytest.mark.parametrize("make", [lambda: _Unhashable("EUR"), _raise_on_comparison, lambda: ["EUR"], object])
def test_positional_labels_never_raise(recording: Any, instruments: Instruments, make: Callable[[], object]) -> None:
    positional = PositionalLabels(instruments.counter(TRUST_FEE_AMOUNT), *_NAMES)
    for _ in range(2):
        positional(1, "EUR", "DE")
        positional(1, make(), "DE")
    assert recording.value("trust.fee.amount", {"trust.currency": "EUR", "geo.country.iso_code": "DE"}) >= 2


def test_each_amount_past_the_limit_of_a_label_is_counted_once(recording: Any, instruments: Instruments) -> None:
    positional = PositionalLabels(instruments.histogram(DB_CLIENT_OPERATION_DURATION), "db.namespace")
    for number in range(2000):
        positional(1, f"database-{number}")
    kept = len(recording.series("db.client.operation.duration")) - 1
    assert recording.overflowed() == {"db.client.operation.duration": 2000 - kept}
    assert recording.value("db.client.operation.duration") == 2000


class TestBusinessMetrics:
    def test_bound_metric_records_under_its_attributes(self, recording: Any) -> None:
        fee = recording.metrics.bind_business_metric("fee", {"currency": "EUR"})
        satisfaction = recording.metrics.bind_business_metric("customer_satisfaction")
        for _ in range(2):
            fee(1.5)
            satisfaction(4)
        assert recording.value("trust.fee.amount", {"trust.currency": "EUR"}) == 3
        assert recording.value("trust.customer.satisfaction") == 2
        assert recording.dropped() == {}

    def test_score_outside_its_range_is_dropped(self, recording: Any) -> None:
        satisfaction = recording.metrics.bind_business_metric("customer_satisfaction")
        satisfaction(6)
        satisfaction(0)
        satisfaction(-1)
        satisfaction("5")
        assert recording.value("trust.customer.satisfaction") == 0
        assert recording.dropped() == {"invalid_value": 3, "negative_value": 1}

    @pytest.mark.parametrize(
        ("name", "attributes", "reason"), [("profit", None, "unknown_metric"), ("fee", 5, "attribute_type")]
    )
    def test_each_amount_of_a_metric_that_cannot_be_bound_is_dropped(
        self, recording: Any, name: str, attributes: Any, reason: str
    ) -> None:
        record = recording.metrics.bind_business_metric(name, attributes)
        record(1)
        record(1)
        assert recording.dropped() == {reason: 2}
