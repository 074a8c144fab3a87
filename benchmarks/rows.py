"""The rows of the result: what is compared with what, and the bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

THE_OPERATION = "the operation itself"
"""What a row without peers is compared with."""


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        title: What is measured.
        workloads: Module of `benchmarks.workloads` that measures it.
        case: Its case of that module.
        bar: Highest ratio to the best peer, or to the operation itself, that is good enough.
        peers: Variants that it is compared with; none where it is compared with the operation itself.
        ours: Variant whose ratio is compared with the bar.
        bare: Variant without telemetry, whose cost is subtracted from all others; `None` if there is none.
        operation: Case that measures the operation itself, in the process of `ours`.
        unit: Unit of the cost.
        tried: What was tried to meet the bar, if it is not met.
    """

    title: str
    workloads: str
    case: str
    bar: float
    peers: tuple[str, ...]
    ours: str = "trust-otel"
    bare: str | None = "bare"
    operation: str | None = None
    unit: str = "µs"
    tried: str = ""

    @property
    def variants(self) -> tuple[str, ...]:
        """All variants of the row."""
        return (*([self.bare] if self.bare else []), self.ours, *self.peers)

    @property
    def runs(self) -> Mapping[str, tuple[str, str]]:
        """The case, and the variant in whose process it runs, of all that is measured for the row."""
        own = {name: (self.case, name) for name in self.variants}
        return {**own, THE_OPERATION: (self.operation, self.ours)} if self.operation else own

    @property
    def group(self) -> str:
        """Rows of one group share the processes of their variants."""
        # The series of one scrape would be in the other.
        return f"{self.workloads} {self.case}" if self.workloads == "scrape" else self.workloads


ROUNDS: Mapping[str, int] = {
    "http": 150,
    "grpc": 150,
    "sqlalchemy": 150,
    "recording": 150,
    "signing": 150,
    "scrape": 5,
    "startup": 5,
}
"""Rounds of each module of workloads."""

_METRICS = (
    "FastAPI",
    "contrib",
    "Elastic",
    "Splunk",
    "Logfire",
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
)
_TRACES = tuple(f"{name}, traces" for name in ("FastAPI", "contrib", "Elastic", "Splunk", "Logfire"))


def _http(title: str, case: str, bar: float, ours: str = "trust-otel", tried: str = "") -> Row:
    return Row(f"HTTP request, {title}", "http", case, bar, _METRICS, ours, tried=tried)


def _traces(title: str, case: str) -> Row:
    return Row(f"HTTP request with traces, {title}", "http", case, 1.1, _TRACES, "trust-otel, traces")


def _recording(title: str, case: str, bar: float, tried: str = "") -> Row:
    return Row(title, "recording", case, bar, ("prometheus_client",), tried=tried)


def _signing(title: str, operation: str, algorithm: str, tried: str) -> Row:
    case = f"{operation} {algorithm}"
    return Row(f"{title}, {algorithm}", "signing", case, 0.01, (), bare=None, operation=f"{case} alone", tried=tried)


def _grpc(title: str, case: str, bar: float) -> Row:
    return Row(f"gRPC {title}", "grpc", case, bar, ("py-grpc-prometheus",))


def _sqlalchemy(title: str, case: str, bar: float) -> Row:
    return Row(f"SQLAlchemy {title}", "sqlalchemy", case, bar, ("contrib",))


def _scrape(kind: str, series: int, tried: str = "") -> Row:
    title = f"scrape of {series:,} {'series with 14 buckets' if kind == 'histogram' else 'counter series'}"
    peers = ("prometheus_client",)
    return Row(title, "scrape", f"{kind} {series}", 0.1, peers, "trust-otel, endpoint", bare=None, tried=tried)


def _startup(title: str, case: str, unit: str = "µs") -> Row:
    return Row(f"start-up, {title}", "startup", case, 1.0, ("contrib",), unit=unit)


_NEAR = "Half of the frames of a request are gone. The ratio is between 0.17 and 0.22 from run to run."

_BLOCK = (
    "With warm caches the block takes 1.5 µs (2.4 µs before its series were kept); after a signature it takes longer, "
    "because OpenSSL has emptied them. Writing all its functions as two saves 0.1 µs."
)
_TYPE = (
    "The type is read from the builder; parsing the extensions of the certificate took 10 µs more. A service that "
    "measures the issuance itself pays only for the block."
)

ROWS = (
    _http("10 routes", "10 routes", 0.2),
    _http(
        "300 routes",
        "300 routes",
        0.2,
        tried="Half of the frames of a request are gone: the search for the route empties the caches, so what is "
        "touched counts most. The bare request varies by as much as trust-otel adds: 0.16 and 0.33 in two runs.",
    ),
    _http("`include_router`", "include_router", 0.2, tried=_NEAR),
    _http("POST of 1 kB", "POST", 0.2, tried=_NEAR),
    _http(
        "with an SLA and a threat feed",
        "10 routes",
        0.25,
        "trust-otel, SLA and feed",
        "Keeping the answers of feeds by address saves 0.9 µs, but keeps the addresses of all clients in memory, not "
        "only those of offenders.",
    ),
    _http(
        "status 401",
        "401",
        0.3,
        tried="The failed attempt is counted too, unless the service counts it itself. The client's address is looked "
        "up only where it is needed.",
    ),
    _http("sync handler", "sync handler", 0.3),
    _traces("10 routes", "10 routes"),
    _traces("300 routes", "300 routes"),
    _recording("counter with 3 attributes", "counter", 0.5),
    _recording("histogram with 3 attributes", "histogram", 1.0),
    _recording(
        "bound counter",
        "bound counter",
        0.3,
        "Each call checks that the amount is a finite number of 0 or more, so that it neither raises nor spoils the "
        "sum. Adding in the bound function instead of in the series gives 0.34, but not for series with a lock or in a "
        "file. Fewer branches, and a set of the types, change it by less than 0.01 µs.",
    ),
    _recording(
        "bound histogram",
        "bound histogram",
        0.3,
        "The same check, in which the range of the metric is. Without the smallest and the largest amount, which OTLP "
        "exports, it would take 0.03 µs less. Comparing an amount with both at once takes as long.",
    ),
    _recording("certificate block", "certificate", 1.0),
    _recording("authentication attempt", "authentication", 2.0),
    *(
        _signing(title, operation, algorithm, tried)
        for title, operation, tried in (
            ("signature", "signature", _BLOCK),
            ("timestamp", "timestamp", _BLOCK),
            ("certificate, measured by the instrumentation", "instrumentation", _TYPE),
            ("certificate, measured by the service", "issuance", _BLOCK),
        )
        for algorithm in ("RSA-3072", "RSA-2048", "P-256")
    ),
    _grpc("server, unary", "server unary", 0.5),
    _grpc("client, unary", "client unary", 0.5),
    _grpc("server, stream of 1,000", "server stream", 0.25),
    _grpc("client, stream of 1,000", "client stream", 0.25),
    _sqlalchemy("execute", "execute", 0.25),
    _sqlalchemy("begin, execute, commit", "transaction", 0.4),
    _scrape("histogram", 1_000),
    _scrape("histogram", 10_000),
    _scrape("counter", 1_000, "The SDK's collection of other metrics, such as those of the process, takes 1 ms."),
    _scrape("counter", 10_000),
    _startup("no import", "cpu nothing"),
    _startup("FastAPI", "cpu FastAPI"),
    _startup("FastAPI, gRPC, SQLAlchemy, cryptography", "cpu all"),
    _startup("uvicorn with 4 workers", "cpu server"),
    _startup("memory, FastAPI", "memory FastAPI", "MiB"),
    _startup("memory, FastAPI, gRPC, SQLAlchemy, cryptography", "memory all", "MiB"),
)
