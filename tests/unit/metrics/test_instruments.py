"""Recorded values: valid and invalid amounts, concurrency, observed values, and what is counted and logged."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from trust_otel import TrustServiceMetrics, get_metrics
from trust_otel.metrics import recorder_of
from trust_otel.metrics.database import PoolState
from trust_otel.metrics.executor import ExecutorState
from trust_otel.recording import self_metrics


@pytest.mark.parametrize(
    "amount", [0, 1, 2.5, Decimal("2.5"), Fraction(5, 2), 2**53 - 1, 2**60, 1e308, 5e-324, 10**300]
)
def test_finite_amount_is_recorded(recording: Any, amount: Any) -> None:
    recording.metrics.record_business_metric("revenue", amount, {"currency": "EUR"})
    assert recording.value("trust.revenue.amount", {"trust.currency": "EUR"}) == float(amount)
    assert recording.dropped() == {}


@pytest.mark.parametrize(
    "amount",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        True,
        False,
        None,
        "12",
        b"12",
        [],
        {},
        object(),
        1j,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        pytest.param(10**400, id="10**400"),
        pytest.param(-(10**400), id="-10**400"),
        pytest.param(Fraction(10**400), id="Fraction"),
    ],
)
def test_amount_that_is_not_a_finite_number_is_dropped(recording: Any, amount: Any) -> None:
    recording.metrics.record_business_metric("revenue", amount, {"currency": "EUR"})
    assert recording.series("trust.revenue.amount") == []
    assert recording.dropped() == {"invalid_value": 1}


@pytest.mark.parametrize("amount", [-1, -0.001, Decimal("-1"), -(2**60)])
@pytest.mark.parametrize("name", ["revenue", "refund", "fee", "cost", "customer_satisfaction"])
def test_negative_amount_is_dropped(recording: Any, name: str, amount: Any) -> None:
    recording.metrics.record_business_metric(name, amount)
    assert recording.dropped() in ({"negative_value": 1}, {"invalid_value": 1})
    assert recording.value(f"trust.{name}.amount") == 0


def test_up_down_counter_increases_and_decreases(recording: Any) -> None:
    recording.metrics.session_started()
    recording.metrics.session_started()
    recording.metrics.session_ended()
    assert recording.value("trust.session.active") == 1


def test_large_sum_can_be_encoded_as_otlp(recording: Any) -> None:
    for _ in range(2000):
        recording.metrics.record_business_metric("revenue", 2**53 - 1)
    assert recording.value("trust.revenue.amount") == pytest.approx(2000 * 2**53)
    assert encode_metrics(recording.collect()).SerializeToString()


def test_amount_that_would_make_the_sum_infinite_is_dropped(recording: Any) -> None:
    for _ in range(3):
        recording.metrics.record_business_metric("fee", 1e308)
    recording.metrics.record_business_metric("fee", 1)
    assert recording.value("trust.fee.amount") == 1e308
    assert recording.dropped() == {"invalid_value": 2}


def test_sum_of_integers_is_exact(recording: Any) -> None:
    for _ in range(1000):
        recording.metrics.record_business_metric("revenue", 1, {"currency": "EUR"})
    assert recording.value("trust.revenue.amount") == 1000


def test_concurrent_recording_loses_no_measurements(recording: Any) -> None:
    def work(thread: int) -> None:
        for number in range(10_000):
            recording.metrics.record_authorization(granted=number % 2 == 0, resource_type=f"type-{thread % 2}")
            if number % 10 == 0:
                recording.metrics.record_dependency("db", dependency_type="database", up=True, duration=0.001)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for resource_type in ("type-0", "type-1"):
        for decision in ("grant", "deny"):
            labels = {"trust.authz.decision": decision, "trust.authz.resource.type": resource_type}
            assert recording.value("trust.authz.decisions", labels) == 20_000
    assert recording.value("trust.dependency.check.duration") == 8_000


def test_counter_never_decreases_between_collections_during_recording(recording: Any) -> None:
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            recording.metrics.record_audit_event("login")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        seen = [recording.value("trust.audit.events") for _ in range(50)]
    finally:
        done.set()
        thread.join()
    assert seen == sorted(seen)


def test_get_metrics_returns_the_same_object_in_every_thread() -> None:
    seen: set[int] = set()
    threads = [threading.Thread(target=lambda: seen.add(id(get_metrics()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1


def test_metrics_created_before_the_provider_are_exported() -> None:
    """For example in a module that calls `get_metrics()` at import time, before the SDK is set up."""
    from opentelemetry.metrics._internal import _ProxyMeterProvider

    proxy = _ProxyMeterProvider()
    metrics = TrustServiceMetrics(proxy)
    metrics.record_audit_event("too.early")
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    proxy.on_set_meter_provider(provider)
    metrics.record_audit_event("in.time")
    names = {
        metric.name
        for resource in getattr(reader.get_metrics_data(), "resource_metrics", ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert "trust.audit.events" in names
    assert "trust.otel.dropped" in names
    provider.shutdown()


def test_two_objects_on_one_provider_share_their_series(recording: Any) -> None:
    """For example the `TrustServiceMetrics` of a service beside that of the instrumentation."""
    other = TrustServiceMetrics(recording.provider)
    for metrics in (recording.metrics, other):
        metrics.session_started()
        metrics.record_audit_event("login")
        metrics.record_business_metric("customer_satisfaction", 5)
        metrics.record_business_metric("nothing", 5)
        metrics.set_certificate("ca", not_after=4e9)
    assert [point.value for _, point in recording.series("trust.session.active")] == [2]
    assert [point.value for _, point in recording.series("trust.audit.events")] == [2]
    assert recording.value("trust.customer.satisfaction") == 2
    assert recording.dropped() == {"unknown_metric": 2}
    assert [point.value for _, point in recording.series("trust.certificate.not_after")] == [4e9]
    assert recording.value("trust.certificate.inventory", {"trust.certificate.status": "valid"}) == 2


class TestObservedPools:
    """Observations of callbacks are validated like other measurements."""

    def test_observations_of_the_same_pool_are_summed(self, recording: Any) -> None:
        for used in (1, 2):
            recording.recorder.database.observe_connection_pools(
                lambda used=used: [PoolState("p", idle=0, used=used, pending_requests=0, max=10)]
            )
        assert recording.value("db.client.connection.count", {"db.client.connection.state": "used"}) == 3
        assert recording.value("db.client.connection.max") == 20

    def test_unbounded_pool_has_no_max(self, recording: Any) -> None:
        recording.recorder.database.observe_connection_pools(lambda: [PoolState("p", 1, 1, 0)])
        assert recording.series("db.client.connection.max") == []
        assert recording.series("db.client.connection.idle.max") == []
        assert recording.value("db.client.connection.pending_requests") == 0

    def test_removed_pool_has_no_series(self, recording: Any) -> None:
        pools = [PoolState("p", 1, 1, 0, 5, 5)]
        recording.recorder.database.observe_connection_pools(lambda: pools)
        assert recording.labels("db.client.connection.max") == [{"db.client.connection.pool.name": "p"}]
        pools.clear()
        assert recording.labels("db.client.connection.max") == []
        assert recording.labels("db.client.connection.count") == []

    def test_removed_pools_free_their_place_in_the_limit(self, recording: Any) -> None:
        pools: list[PoolState] = []
        recording.recorder.database.observe_connection_pools(lambda: pools)
        for number in range(200):
            pools[:] = [PoolState(f"pool-{number}", 1, 1, 0, 5, 5)]
            recording.collect()
        assert recording.labels("db.client.connection.max") == [{"db.client.connection.pool.name": "pool-199"}]
        assert recording.overflowed() == {}

    @pytest.mark.parametrize("error", [RuntimeError("gone"), ZeroDivisionError()])
    def test_failing_callback_is_counted_and_other_callbacks_are_observed(
        self, recording: Any, error: Exception
    ) -> None:
        def failing() -> list[PoolState]:
            raise error

        recording.recorder.database.observe_connection_pools(failing)
        recording.recorder.database.observe_connection_pools(lambda: [PoolState("p", 1, 1, 0)])
        assert recording.value("db.client.connection.pending_requests") == 0
        assert recording.labels("db.client.connection.count") != []
        assert recording.dropped()["internal_error"] > 0

    @pytest.mark.parametrize("amount", [float("nan"), float("inf"), None, "1", 10**400], ids=str)
    def test_invalid_observation_is_dropped_and_other_observations_are_kept(self, recording: Any, amount: Any) -> None:
        recording.recorder.executors.observe_executors(
            lambda: [ExecutorState("bad", amount, amount, amount), ExecutorState("good", 1, 2, 3)]
        )
        assert recording.labels("trust.executor.queue.size") == [{"trust.executor.name": "good"}]
        assert recording.value("trust.executor.threads", {"trust.executor.state": "max"}) == 2
        assert recording.dropped()["invalid_value"] >= 3


def _fail() -> Any:
    raise LookupError("cannot read the executors")


_REASONS: Mapping[str, Callable[[TrustServiceMetrics], object]] = {
    "invalid_value": lambda metrics: metrics.record_business_metric("fee", float("nan")),
    "negative_value": lambda metrics: metrics.record_business_metric("fee", -1),
    "unknown_metric": lambda metrics: metrics.record_business_metric("profit", 1),
    "unknown_attribute": lambda metrics: metrics.record_business_metric("fee", 1, {"user": "mary"}),
    "unknown_value": lambda metrics: metrics.record_business_metric("fee", 1, {"currency": "euro"}),
    "attribute_type": lambda metrics: metrics.record_business_metric("fee", 1, {"currency": b"EUR"}),
    "attribute_encoding": lambda metrics: metrics.record_rate_limited("a\0b"),
    "attribute_length": lambda metrics: metrics.record_rate_limited("a" * 10_000_000),
    "private_value": lambda metrics: metrics.record_rate_limited("erika@example.org"),
    "unreadable_source": lambda metrics: recorder_of(metrics).sources.record_source(
        "a.pem", kind="certificates", problem="gone"
    ),
    "internal_error": lambda metrics: recorder_of(metrics).executors.observe_executors(_fail),
}


@pytest.mark.parametrize("reason", _REASONS)
def test_measurement_is_dropped_with_its_reason(recording: Any, reason: str) -> None:
    _REASONS[reason](recording.metrics)
    recording.collect()
    assert list(recording.dropped()) == [reason]


def test_every_drop_reason_starts_at_zero(recording: Any) -> None:
    points = recording.series("trust.otel.dropped")
    reasons = [*_REASONS, "event_limit", "rejected"]
    assert {labels["reason"]: point.value for labels, point in points} == dict.fromkeys(reasons, 0)


@pytest.mark.parametrize(
    ("metric", "use"),
    [
        ("trust.auth.attempts", lambda metrics: metrics.record_auth_attempt(method="password", success=True)),
        ("trust.document.processing.duration", lambda metrics: metrics.document_processing("passport").__enter__()),
        ("trust.otel.source.up", lambda metrics: recorder_of(metrics).sources.record_source("a", kind="sla")),
        ("trust.certificate.inventory", lambda metrics: metrics.set_certificate("a", not_after=1)),
        ("trust.session.active", lambda metrics: metrics.session_started()),
    ],
)
def test_overflow_of_a_metric_is_exported_from_its_first_series_on(
    recording: Any, metric: str, use: Callable[[Any], Any]
) -> None:
    assert recording.labels("trust.otel.overflow") == []
    used = use(recording.metrics)
    if used is not None:
        used.__exit__(None, None, None)
    recording.collect()
    assert recording.value("trust.otel.overflow", {"metric": metric}) == 0
    assert {"metric": metric} in recording.labels("trust.otel.overflow")
    assert len(recording.labels("trust.otel.overflow")) <= 4


def test_nothing_else_is_exported_before_it_is_used(recording: Any) -> None:
    own = {"trust.otel.dropped", "trust.otel.instance.up", "process.uptime", "trust.security.detector.enabled"}
    assert recording.names() == own


def test_the_uptime_counts_from_the_start_and_from_a_fork(recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_metrics, "monotonic", lambda: time.monotonic() + 100)
    assert 100 <= recording.value("process.uptime") < 200
    recorder_of(recording.metrics).instruments.restart_in_child()
    assert 0 <= recording.value("process.uptime") < 100


def test_active_sessions_are_exported_from_the_first_one_on(recording: Any) -> None:
    assert recording.series("trust.session.active") == []
    recording.metrics.session_started()
    recording.metrics.session_ended()
    assert [point.value for _, point in recording.series("trust.session.active")] == [0]


class TestInvalidCalls:
    """Invalid calls are logged once, with the name and the fix, and without user-supplied values."""

    def test_unknown_metric_is_logged_once_with_the_known_names(
        self, recording: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(3):
            recording.metrics.record_business_metric("revnue", 1)
        recording.metrics.record_business_metric("profit", 1)
        assert [record.getMessage() for record in caplog.records] == [
            f"trust-otel: unknown business metric '{name}'; known: revenue, refund, fee, cost, "
            "customer_satisfaction; declare others in TRUST_OTEL_BUSINESS_METRICS_FILE "
            "(logged once; counted in trust.otel.dropped as unknown_metric)"
            for name in ("revnue", "profit")
        ]
        assert recording.dropped() == {"unknown_metric": 4}

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (
                lambda metrics: metrics.record_business_metric("fee", 1, {"curency": "EUR"}),
                ["trust.fee.amount has no attribute 'curency'", "known: trust.currency,"],
            ),
            (
                lambda metrics: metrics.record_business_metric("fee", 1, {"currency": "erika"}),
                ["trust.currency in trust.fee.amount is not allowed", "recorded as '_other'", "it must match"],
            ),
            (
                lambda metrics: metrics.record_dependency("db", dependency_type="erika", up=True),
                ["trust.dependency.type in trust.dependency.up is not allowed", "allowed: vault,"],
            ),
            (
                lambda metrics: metrics.record_business_metric("fee", 1, {"currency": b"erika"}),
                ["trust.currency", "bytes", "pass string"],
            ),
            (lambda metrics: metrics.record_business_metric("fee", -1), ["trust.fee.amount", "0 or more"]),
            (lambda metrics: metrics.record_business_metric("fee", "erika"), ["trust.fee.amount", "number", "str"]),
            (lambda metrics: metrics.record_business_metric("customer_satisfaction", 6), ["from 1 to 5"]),
            (lambda metrics: metrics.record_rate_limited("erika@example.org"), ["trust.rate_limit.name", "personal"]),
            (lambda metrics: metrics.record_rate_limited("erika" * 99), ["trust.rate_limit.name", "is cut"]),
            (lambda metrics: metrics.set_certificate("erika", not_after="soon"), ["set_certificate", "not_after"]),
            (lambda metrics: metrics.set_sla_objective("erika", 99), ["from 0 to 1"]),
            (
                lambda metrics: metrics.record_auth_attempt(method="password", success=True, client_address="erika"),
                ["client_address", "IPv4 or IPv6"],
            ),
            (
                lambda metrics: metrics.record_auth_attempt(erika="password"),
                ["record_auth_attempt", "it takes method, success, country, client_address, account"],
            ),
        ],
    )
    def test_log_message_names_the_problem_and_the_fix(
        self,
        recording: Any,
        caplog: pytest.LogCaptureFixture,
        call: Callable[[TrustServiceMetrics], object],
        words: list[str],
    ) -> None:
        call(recording.metrics)
        call(recording.metrics)
        (line,) = [record.getMessage() for record in caplog.records]
        assert [word for word in words if word not in line] == []
        assert "erika" not in line

    def test_possible_personal_data_in_a_metric_name_is_not_logged(
        self, recording: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        recording.metrics.record_business_metric("erika.mustermann@example.org", 1)
        recording.metrics.record_business_metric("Erika Mustermann", 1)
        (line,) = [record.getMessage() for record in caplog.records]
        assert "unknown business metric (not shown" in line

    def test_number_of_logged_names_is_limited(self, recording: Any, caplog: pytest.LogCaptureFixture) -> None:
        for number in range(300):
            recording.metrics.record_business_metric(f"m{number}", 1)
        assert len(caplog.records) == 100
        assert recording.dropped() == {"unknown_metric": 300}

    def test_log_handler_can_wait_for_a_thread_that_records(self, recording: Any) -> None:
        done = []

        class RecordingHandler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                metrics = recording.metrics
                thread = threading.Thread(target=lambda: done.append(metrics.record_rate_limited("from_log_handler")))
                thread.start()
                thread.join(10)
                assert not thread.is_alive()

        handler = RecordingHandler()
        logger = logging.getLogger("trust_otel")
        logger.addHandler(handler)
        try:
            recording.metrics.record_rate_limited("a\0b")
        finally:
            logger.removeHandler(handler)
        assert done == [None]
