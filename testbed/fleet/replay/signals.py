"""The samples that the rules read, generated step by step."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from testbed.drill.backfill import Points
from testbed.fleet.replay.replicas import NODES, Process, replicas_at
from testbed.fleet.replay.timeline import DAY, DOCUMENTS, HOUR, MONDAY, SIGNING, Event, Fault, Scale, activity
from trust_otel.semconv import metrics

STEP_SECONDS: Final = 30
"""Between samples, and between evaluations."""
_FAST_SECONDS: Final = 15
_FAST: Final = ("trust_otel_instance_up", "trust_security_auth_failures_total")
"""Series that are read over less than two minutes have samples as often as services export."""

# At the busiest hour, per second and service. Staging has a part of it.
_STAGING: Final = 0.06
_HTTP: Final = {DOCUMENTS: 6.0, SIGNING: 2.0}
_GRPC: Final = 4.0
_DOCUMENTS_RATE: Final = 0.5
_PURCHASES: Final = {"EUR": 0.04, "CHF": 0.012, "USD": 0.006}
_AMOUNT: Final = 40.0
_CERTIFICATES: Final = 3.0
_LATENCY, _CALL_LATENCY = 0.08, 0.05
_LOGINS: Final = 0.03
_BOUNDS: Final = (0.5, 1.0, 2.0, 5.0)
_USUAL_ERRORS: Final = 0.001
_SLA_OBJECTIVE, _SLA_MISSES = 0.99, 0.003
_CERTIFICATE_END: Final = MONDAY + DAY + 9 * HOUR + 30 * DAY
_RENEWED: Final = MONDAY + 3 * DAY + 9 * HOUR
_READ_SECONDS: Final = 300

Key = tuple[str, tuple[tuple[str, str], ...]]


def poisson(rng: Random, mean: float) -> int:
    """A random number of independent events."""
    if mean > 25:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        number += 1
    return number


def part(rng: Random, number: int, share: float) -> int:
    """How many of a number of events are of a kind with this share."""
    if number == 0 or share <= 0:
        return 0
    if number > 50:
        return min(number, poisson(rng, number * share)) if share < 0.5 else number - part(rng, number, 1 - share)
    return sum(rng.random() < share for _ in range(number))


class Recorder:
    """Current values of series, and their samples of a day."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._values: dict[Key, float] = {}
        self._samples: dict[Key, tuple[array[int], array[float]]] = {}

    def add(self, name: str, amount: float, **labels: str) -> None:
        """Increase a counter. It begins to exist with the first event."""
        if amount:
            self.count(name, amount, **labels)

    def count(self, name: str, amount: float, **labels: str) -> None:
        """Increase a counter that exists from the start, such as a bucket."""
        key = (name, tuple(labels.items()))
        self._values[key] = self._values.get(key, 0.0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._values[name, tuple(labels.items())] = value

    def export(self, at: int, *, fast: bool) -> None:
        """Take a sample of all series, or of those that are read over short windows."""
        for key, value in self._values.items():
            if not fast or key[0] in _FAST:
                times, values = self._samples.setdefault(key, (array("q"), array("d")))
                times.append(at)
                values.append(value)

    def taken(self) -> Iterator[tuple[str, Points]]:
        """The samples since the last call."""
        for (name, labels), (times, values) in self._samples.items():
            yield name, ({**self._labels, **dict(labels)}, zip(times, values, strict=True))
        self._samples = {}


@dataclass(frozen=True)
class _Moment:
    """A step of a process: its length, the traffic of the process, its share of the service's, and what is wrong."""

    at: int
    seconds: int
    load: float
    share: float
    faults: Sequence[tuple[Event, Fault]]

    def largest(self, name: str) -> float:
        return max((float(getattr(fault, name)) for _, fault in self.faults), default=0.0)


class ServiceProcess:
    """The metrics of one process."""

    def __init__(self, process: Process, events: Sequence[Event], scale: Scale) -> None:
        self.process = process
        self._scale = scale
        self._events = [event for event in events if _concerns(event, process)]
        self._rng = process.random("signals")
        self._recorder = Recorder(process.labels)

    def day(self, begin: int, end: int) -> Iterator[tuple[str, Points]]:
        """All samples of a day, or of the part of it in which the process runs."""
        process = self.process
        events = [event for event in self._events if event.begin < end and event.end + STEP_SECONDS > begin]
        for at in range(begin, end, STEP_SECONDS):
            if not process.begin <= at <= process.end:
                continue
            now = [(event, event.fault) for event in events if event.begin <= at < event.end]
            silent = any(fault.silent for _, fault in now)
            share = 1 / replicas_at(at, process.environment, self._scale)
            size = _STAGING if process.environment == "staging" else 1.0
            load = activity(at, process.environment) * size * share
            self._step(_Moment(at, STEP_SECONDS, load, share, now))
            for half in (at - _FAST_SECONDS, at):
                self._logins(_Moment(half, _FAST_SECONDS, load, share, now))
                stops = process.clean and half + _FAST_SECONDS > process.end
                self._recorder.set("trust_otel_instance_up", float(not stops))
                if not silent:
                    self._recorder.export(half, fast=half != at)
        yield from self._recorder.taken()

    def _step(self, moment: _Moment) -> None:
        self._recorder.set("process_uptime_seconds", moment.at - self.process.begin)
        self._requests(moment)
        if self.process.service != DOCUMENTS:
            self._calls(moment)
            self._certificates(moment)
        else:
            self._business(moment)
        self._database(moment)
        self._checks(moment)

    def _requests(self, moment: _Moment) -> None:
        rate = _HTTP.get(self.process.service, 3.0) * moment.load
        number = poisson(self._rng, rate * moment.seconds * self._factor(moment, "traffic"))
        failed = part(self._rng, number, _USUAL_ERRORS + moment.largest("errors"))
        wrong = poisson(self._rng, (number - failed) * (0.02 + moment.largest("client_errors")))
        place = {"http_request_method": "POST", "http_route": "/v1/operations", "url_scheme": "https"}
        latency = _LATENCY * self._factor(moment, "slowness")
        for code, count in (("200", number - failed), ("500", failed), ("404", wrong)):
            labels = {**place, "http_response_status_code": code}
            self._durations("http_server_request_duration_seconds", labels, count, latency)
        refused = poisson(self._rng, moment.largest("refused") * moment.seconds * moment.share)
        self._recorder.add("trust_security_rate_limited_total", refused, trust_rate_limit_name="login")

    def _calls(self, moment: _Moment) -> None:
        number = poisson(self._rng, _GRPC * moment.load * moment.seconds)
        failed = part(self._rng, number, _USUAL_ERRORS + moment.largest("errors"))
        method = "Sign" if self.process.service == SIGNING else "Validate"
        call = {
            "rpc_method": f"trust.v1.TrustService/{method}",
            "rpc_system_name": "grpc",
            "trust_rpc_type": "unary",
        }
        latency = _CALL_LATENCY * self._factor(moment, "slowness")
        for code, count in (("OK", number - failed), ("UNAVAILABLE", failed)):
            labels = {**call, "rpc_response_status_code": code}
            self._durations("rpc_server_call_duration_seconds", labels, count, latency)

    def _durations(self, name: str, labels: Mapping[str, str], count: int, mean: float) -> None:
        """Exponentially distributed durations."""
        if not count:
            return
        self._recorder.add(f"{name}_count", count, **labels)
        slower, above = count, 1.0
        within = []
        for bound in _BOUNDS:
            share = math.exp(-bound / mean)
            slower = part(self._rng, slower, share / above if above else 0)
            above = share
            within.append(count - slower)
        for bound, number in zip((*_BOUNDS, math.inf), (*within, count), strict=True):
            le = "+Inf" if bound == math.inf else f"{bound:g}"
            self._recorder.count(f"{name}_bucket", number, **labels, le=le)

    def _certificates(self, moment: _Moment) -> None:
        name = "trust_certificate_operation_duration_seconds_count"
        number = poisson(self._rng, _CERTIFICATES * moment.load * moment.seconds * self._factor(moment, "traffic"))
        if self.process.service == SIGNING:
            failed = part(self._rng, number, moment.largest("signing_errors"))
            outcomes = {"success": number - failed, "error": failed}
            self._expiry(moment.at)
        else:
            failed = part(self._rng, number, 0.02 + moment.largest("invalid"))
            outcomes = {"success": number - failed, "failure": failed}
        operation = "signing" if self.process.service == SIGNING else "validation"
        for outcome, count in outcomes.items():
            labels = {"trust_certificate_operation": operation, "trust_certificate_type": "DSC"}
            self._recorder.add(name, count, **labels, trust_outcome=outcome)

    def _expiry(self, at: int) -> None:
        labels = {"trust_certificate_name": "issuing-ca", "trust_certificate_type": "CSCA"}
        renewed = self.process.environment == "staging" or at >= _RENEWED
        end = _CERTIFICATE_END + (365 * DAY if renewed else 0)
        self._recorder.set("trust_certificate_not_after_seconds", end, **labels)
        self._recorder.set("trust_certificate_not_before_seconds", end - 365 * DAY, **labels)
        # A new list each day, with a day of overlap.
        published = at // DAY * DAY
        name = metrics.TRUST_CERTIFICATE_CRL_NEXT_UPDATE.prometheus_name
        self._recorder.set(name, published + 2 * DAY, trust_certificate_crl_name="issuing-ca")

    def _business(self, moment: _Moment) -> None:
        number = poisson(self._rng, _DOCUMENTS_RATE * moment.load * moment.seconds)
        name = "trust_document_processing_duration_seconds_count"
        self._recorder.add(name, number, trust_document_type="passport", trust_outcome="success")
        missed = part(self._rng, number, _SLA_MISSES + moment.largest("errors"))
        sla = {"trust_sla_name": "document_processing"}
        self._recorder.add("trust_sla_events_total", number - missed, **sla, trust_outcome="success")
        self._recorder.add("trust_sla_events_total", missed, **sla, trust_outcome="failure")
        self._recorder.set("trust_sla_objective_ratio", _SLA_OBJECTIVE, **sla)
        for currency, rate in _PURCHASES.items():
            sold = poisson(self._rng, rate * moment.load * moment.seconds)
            amount = sum(purchase(self._rng) for _ in range(sold))
            self._recorder.add("trust_revenue_amount_total", amount, trust_currency=currency)

    def _database(self, moment: _Moment) -> None:
        place = {"db_system_name": "postgresql", "db_namespace": "trust"}
        number = poisson(self._rng, 2 * _HTTP.get(self.process.service, 3.0) * moment.load * moment.seconds)
        self._recorder.add("db_client_operation_duration_seconds_count", number, **place)
        slow = part(self._rng, number, 0.0005 + moment.largest("slow_operations"))
        self._recorder.add("trust_db_client_slow_operations_total", slow, **place)
        pool = {"db_client_connection_pool_name": "postgresql/trust"}
        waiting = moment.largest("waiting")
        self._recorder.set("db_client_connection_pending_requests", waiting, **pool)
        for event, fault in moment.faults:
            if moment.at - event.begin < STEP_SECONDS:
                self._recorder.add("db_client_connection_timeouts_total", fault.pool_timeouts, **pool)

    def _checks(self, moment: _Moment) -> None:
        lost = {fault.dependency for _, fault in moment.faults}
        for name, kind in (("database", "database"), ("vault", "vault"), ("timestamps", "http")):
            labels = {"trust_dependency_name": name, "trust_dependency_type": kind}
            self._recorder.set("trust_dependency_up", float(name not in lost), **labels)
            self._recorder.add("trust_dependency_check_duration_seconds_count", 2, **labels)
        source = {"trust_otel_source_kind": "reputation", "trust_otel_source_name": "/etc/trust/blocklist"}
        self._recorder.set("trust_otel_source_last_read_seconds", moment.at // _READ_SECONDS * _READ_SECONDS, **source)
        self._recorder.set("trust_otel_source_up", 1.0, **source)
        action = {"trust_audit_action": "document.read"}
        operations = poisson(self._rng, 0.05 * moment.load * moment.seconds)
        self._recorder.add("trust_audit_operations_total", operations, **action)
        self._recorder.add("trust_audit_events_total", operations, **action, trust_outcome="success")
        control = {"trust_compliance_framework": "eidas", "trust_compliance_control": "signature_policy"}
        checks = poisson(self._rng, 0.02 * moment.load * moment.seconds)
        self._recorder.add("trust_compliance_checks_total", checks, **control, trust_outcome="success")
        for event, fault in moment.faults:
            if moment.at - event.begin < STEP_SECONDS:
                failed = fault.failed_checks
                self._recorder.add("trust_compliance_checks_total", failed, **control, trust_outcome="failure")

    def _logins(self, moment: _Moment) -> None:
        if self.process.service != DOCUMENTS:
            return
        name = "trust_security_auth_failures_total"
        if self._rng.random() < _LOGINS * moment.load * moment.seconds:
            address = f"192.0.2.{self._rng.randrange(20)}"
            self._recorder.add(name, 1, client_address=address)
        for _, fault in moment.faults:
            failed = poisson(self._rng, fault.logins * moment.seconds * moment.share)
            self._recorder.add(name, failed, client_address=fault.address)
            found = poisson(self._rng, fault.incidents * moment.seconds * moment.share)
            labels = {"trust_security_incident_type": "brute_force", "trust_severity": "critical"}
            self._recorder.add("trust_security_incidents_total", found, **labels)

    def _factor(self, moment: _Moment, name: str) -> float:
        return math.prod(float(getattr(fault, name)) for _, fault in moment.faults)


def purchase(rng: Random) -> float:
    """Amount of a purchase. A few are large."""
    return _AMOUNT * rng.lognormvariate(-0.5, 1.0)


def usual(begin: int, end: int, environment: str, step: int) -> Iterator[tuple[str, Mapping[str, str], float, int]]:
    """Documents, revenue and sales in each step: recorded name, labels, value and Unix time."""
    rng = Random(f"usual {environment}")  # noqa: S311 - no secret
    share = 1.0 if environment == "production" else _STAGING
    for at in range(begin, end, step):
        load = activity(at, environment) * share * step
        yield "service:trust_document_processing:rate30m", {}, poisson(rng, _DOCUMENTS_RATE * load) / step, at
        for currency, rate in _PURCHASES.items():
            sold = poisson(rng, rate * load)
            amount = sum(purchase(rng) for _ in range(sold))
            yield "service:trust_revenue_amount:rate30m", {"trust_currency": currency}, amount / step, at
            yield "service:trust_revenue_amount:changes30m", {"trust_currency": currency}, sold * HOUR / 2 / step, at


def _concerns(event: Event, process: Process) -> bool:
    return (
        event.environment == process.environment
        and process.service in event.services
        and event.replica in (None, process.replica)
        and event.fault.node in (None, process.node)
    )


class Platform:
    """The metrics of nodes, containers, the Collectors and what else Prometheus scrapes."""

    def __init__(self, processes: Sequence[Process], events: Sequence[Event]) -> None:
        self._processes = processes
        self._events = events
        self._rng = Random("platform")  # noqa: S311 - no secret
        self._nodes = [Recorder({}) for _ in range(NODES)]
        self._pods = {process.pod: Recorder({"namespace": f"trust-{process.environment}"}) for process in processes}
        self._monitoring = Recorder({})

    def day(self, begin: int, end: int) -> Iterator[tuple[str, Points]]:
        """All samples of a day."""
        for at in range(begin, end, _FAST_SECONDS):
            now = [event.fault for event in self._events if event.begin <= at < event.end]
            self._scrape_monitoring(at, now)
            if at % STEP_SECONDS:
                continue
            for number, recorder in enumerate(self._nodes):
                self._scrape_node(recorder, number, at, now)
            for process in self._processes:
                if process.begin <= at <= process.end:
                    self._scrape_pod(self._pods[process.pod], process, at)
        for recorder in (*self._nodes, *self._pods.values(), self._monitoring):
            yield from recorder.taken()

    def _scrape_node(self, recorder: Recorder, number: int, at: int, now: Sequence[Fault]) -> None:
        host = {"job": "node", "instance": f"node-{number + 1:02}:9100"}
        dead = any(fault.not_ready and fault.node == number for fault in now)
        lost = dead or any(fault.silent and fault.node == number for fault in now)
        recorder.set("up", float(not lost), **host)
        conditions = {"job": "kube-state-metrics", "node": f"node-{number + 1:02}"}
        for status, value in (("true", not dead), ("unknown", dead)):
            labels = {**conditions, "condition": "Ready", "status": status}
            recorder.set("kube_node_status_condition", float(value), **labels)
        for condition in ("MemoryPressure", "DiskPressure", "NetworkUnavailable"):
            recorder.set("kube_node_status_condition", 0.0, **conditions, condition=condition, status="true")
        used = max((fault.host_memory for fault in now), default=0.0) or self._rng.gauss(0.55, 0.02)
        total = 32 * 2**30
        recorder.set("node_memory_MemTotal_bytes", total, **host)
        recorder.set("node_memory_MemAvailable_bytes", total * (1 - used), **host)
        disk = {**host, "device": "/dev/sda1", "fstype": "ext4", "mountpoint": "/"}
        recorder.set("node_filesystem_size_bytes", 100 * 2**30, **disk)
        # Logs fill it by day and are rotated at midnight.
        recorder.set("node_filesystem_avail_bytes", (60 - 15 * (at % DAY) / DAY) * 2**30, **disk)
        recorder.set("node_filesystem_readonly", 0.0, **disk)
        for direction in ("receive", "transmit"):
            packets = poisson(self._rng, 500 * activity(at, "production") * STEP_SECONDS)
            errors = poisson(self._rng, 0.0002 * packets)
            recorder.add(f"node_network_{direction}_packets_total", packets, **host, device="eth0")
            recorder.add(f"node_network_{direction}_errs_total", errors, **host, device="eth0")
        recorder.export(at, fast=False)

    def _scrape_pod(self, recorder: Recorder, process: Process, at: int) -> None:
        pod = {"pod": process.pod, "node": f"node-{process.node + 1:02}"}
        container = {"pod": process.pod, "container": "service"}
        recorder.set("kube_pod_info", 1.0, **pod, uid=process.id)
        recorder.set("kube_pod_container_status_restarts_total", 0.0, **container, uid=process.id)
        recorder.set("kube_pod_container_resource_limits", 2**30, **container, resource="memory", unit="byte")
        warm = 1 - math.exp(-(at - process.begin) / (6 * HOUR))
        used = 0.3 + 0.2 * warm + self._rng.gauss(0.02, 0.01)
        recorder.set("container_memory_working_set_bytes", used * 2**30, **container)
        recorder.export(at, fast=False)

    def _scrape_monitoring(self, at: int, now: Sequence[Fault]) -> None:
        stopped = {fault.collector for fault in now}
        recorder = self._monitoring
        for number in (0, 1):
            target = {"job": "otel-collector", "instance": f"collector-{number + 1}:8888"}
            up = number not in stopped
            recorder.set("up", float(up), **target)
            exporter = {**target, "exporter": "otlp_http/prometheus"}
            receiver = {**target, "receiver": "otlp", "transport": "grpc"}
            recorder.set("otelcol_exporter_queue_size", float(poisson(self._rng, 2)), **exporter)
            recorder.set("otelcol_exporter_queue_capacity", 1000.0, **exporter)
            recorder.set("otelcol_queue_damaged_files", 0.0, **target)
            recorder.add("otelcol_receiver_accepted_metric_points_total", 5000.0 * up, **receiver)
            recorder.add("otelcol_exporter_sent_metric_points_total", 5000.0 * up, **exporter)
        for job in ("prometheus", "alertmanager", "grafana", "postgres", "redis", "kube-state-metrics"):
            recorder.set("up", 1.0, job=job, instance=f"{job}:9090")
        recorder.set("pg_replication_lag_seconds", self._rng.expovariate(1.0), job="postgres", instance="postgres-2")
        recorder.set("prometheus_rule_evaluation_failures_total", 0.0, job="prometheus", rule_group="trust-service")
        labels = {"job": "alertmanager", "integration": "webhook", "reason": "other"}
        recorder.set("alertmanager_notifications_failed_total", 0.0, **labels)
        recorder.export(at, fast=False)
