"""Scrapes of the endpoint in the process: histograms with 14 buckets, or counters, all changed since the last scrape.

The client is a process of its own, so that only the endpoint's CPU time counts. It asks for the text format without
compression, whose cost is the same for all.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import islice, product
from time import process_time_ns
from typing import IO, cast

from benchmarks.workloads import Round

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LABELS = tuple(
    product(
        ("validation", "signing", "issuance", "renewal", "revocation"),
        [f"type_{number}" for number in range(50)],
        [f"reason_{number}" for number in range(40)],
    )
)
_CODES = ["".join(letters) for letters in product("ABCDEFGHIJKLMNOPQRSTUVWXYZ", repeat=2)]
_MONEY = tuple(product([f"X{code}" for code in _CODES[:50]], _CODES[:200]))
_SAMPLES = {
    "histogram": "trust_certificate_operation_duration_seconds_count{",
    "counter": "trust_revenue_amount_total{",
}
_CLIENT = """
import sys
from http.client import HTTPConnection
for _ in sys.stdin:
    connection = HTTPConnection("localhost", int(sys.argv[1]))
    connection.request("GET", "/metrics", headers={"Accept": "text/plain;version=0.0.4"})
    print(connection.getresponse().read().count(sys.argv[2].encode()), flush=True)
    connection.close()
"""


def prepare(variant: str, case: str) -> Round:
    """A round is one scrape of this kind and number of series."""
    kind, number = case.split()
    recorders = {
        ("histogram", "trust-otel, endpoint"): _trust_otel_histogram,
        ("histogram", "prometheus_client"): _prometheus_client_histogram,
        ("counter", "trust-otel, endpoint"): _trust_otel_counter,
        ("counter", "prometheus_client"): _prometheus_client_counter,
    }
    series, sample = int(number), _SAMPLES[kind]
    record_all = recorders[kind, variant](series)
    scrape = _scraper(os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"], sample, series)

    def scraped() -> float:
        record_all()
        started = process_time_ns()
        scrape()
        return (process_time_ns() - started) / 1000

    return scraped


def _trust_otel_histogram(series: int) -> Callable[[], None]:
    from trust_otel import get_metrics

    metrics = get_metrics()

    def record_all() -> None:
        for operation, certificate_type, reason in islice(_LABELS, series):
            with metrics.certificate_operation(operation, certificate_type=certificate_type) as measured:
                measured.fail(reason)

    return record_all


def _trust_otel_counter(series: int) -> Callable[[], None]:
    from trust_otel import get_metrics

    metrics = get_metrics()

    def record_all() -> None:
        for currency, country in islice(_MONEY, series):
            metrics.record_business_metric("revenue", 12.5, {"currency": currency, "country": country})

    return record_all


def _prometheus_client_histogram(series: int) -> Callable[[], None]:
    from prometheus_client import Histogram, start_http_server

    names = ["trust_certificate_operation", "trust_certificate_type", "trust_outcome", "error_type"]
    duration = Histogram("trust_certificate_operation_duration_seconds", "Duration", names, buckets=_BUCKETS)
    start_http_server(int(os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"]), "localhost")

    def record_all() -> None:
        for operation, certificate_type, reason in islice(_LABELS, series):
            duration.labels(operation, certificate_type, "failure", reason).observe(0.03)

    return record_all


def _prometheus_client_counter(series: int) -> Callable[[], None]:
    from prometheus_client import Counter, start_http_server

    revenue = Counter("trust_revenue_amount", "Revenue", ["trust_currency", "geo_country_iso_code"])
    start_http_server(int(os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"]), "localhost")

    def record_all() -> None:
        for currency, country in islice(_MONEY, series):
            revenue.labels(currency, country).inc(12.5)

    return record_all


def _scraper(port: str, sample: str, series: int) -> Callable[[], None]:
    # Isolated, so that it is not instrumented.
    client = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-I", "-c", _CLIENT, port, sample],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    requests, answers = cast("IO[str]", client.stdin), cast("IO[str]", client.stdout)

    def scrape() -> None:
        requests.write("\n")
        requests.flush()
        answer = answers.readline()
        if int(answer) != series:
            raise RuntimeError(f"the scrape has {answer.strip()} series instead of {series}")

    return scrape
