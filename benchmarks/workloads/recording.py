"""Single calls of the metrics API, against the same work with prometheus_client."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from benchmarks.workloads import Round, calls

_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_SCORES = (1.0, 2.0, 3.0, 4.0, 5.0)


def prepare(variant: str, case: str) -> Round:
    """A round of calls of this case; `bare` calls a function that does nothing."""
    functions = {"bare": _bare, "trust-otel": _trust_otel, "prometheus_client": _prometheus_client}
    return calls(functions[variant]()[case])


def _bare() -> dict[str, Callable[[], object]]:
    cases = ("counter", "histogram", "bound counter", "bound histogram", "certificate", "authentication")
    return dict.fromkeys(cases, lambda: None)


def _trust_otel() -> dict[str, Callable[[], object]]:
    from trust_otel import get_metrics
    from trust_otel.metrics import recorder_of

    metrics = get_metrics()
    # What the instrumentation of SQLAlchemy calls; every histogram of the public API also measures the time.
    database = recorder_of(metrics).database
    attributes = {"currency": "EUR", "country": "DE", "client": "acme"}
    revenue = metrics.bind_business_metric("revenue", attributes)
    satisfaction = metrics.bind_business_metric("customer_satisfaction")

    def certificate() -> None:
        with metrics.certificate_operation("validation", certificate_type="DSC"):
            pass

    return {
        "counter": lambda: metrics.record_business_metric(
            "revenue", 12.5, {"currency": "EUR", "country": "DE", "client": "acme"}
        ),
        "histogram": lambda: database.record_database_operation(
            system="postgresql", operation="SELECT", namespace="documents", duration=0.03
        ),
        "bound counter": lambda: revenue(12.5),
        "bound histogram": lambda: satisfaction(4),
        "certificate": certificate,
        "authentication": lambda: metrics.record_auth_attempt(method="password", success=True, country="DE"),
    }


def _prometheus_client() -> dict[str, Callable[[], object]]:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    # Each case has its own, because two metrics of one registry cannot have the same name.
    registry = CollectorRegistry()
    revenue = Counter("revenue", "Revenue", ["currency", "country", "client"], registry=registry)
    bound_revenue = revenue.labels("EUR", "DE", "acme")
    satisfaction = Histogram("satisfaction", "Scores", buckets=_SCORES, registry=registry)
    labels = ["system", "operation", "namespace"]
    database = Histogram("database", "Database", labels, buckets=_SECONDS, registry=registry)
    active = Gauge("active", "Active operations", ["operation", "type"], registry=registry)
    certificates = Histogram("certificates", "Operations", ["operation", "type", "outcome"], registry=registry)
    attempts = Counter("attempts", "Attempts", ["method", "outcome", "country"], registry=registry)

    def certificate() -> None:
        active.labels("validation", "DSC").inc()
        started = perf_counter()
        active.labels("validation", "DSC").dec()
        certificates.labels("validation", "DSC", "success").observe(perf_counter() - started)

    return {
        "counter": lambda: revenue.labels("EUR", "DE", "acme").inc(12.5),
        "histogram": lambda: database.labels("postgresql", "SELECT", "documents").observe(0.03),
        "bound counter": lambda: bound_revenue.inc(12.5),
        "bound histogram": lambda: satisfaction.observe(4),
        "certificate": certificate,
        "authentication": lambda: attempts.labels("password", "success", "DE").inc(),
    }
