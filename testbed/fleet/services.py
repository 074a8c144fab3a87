"""The series that the instances of the services export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final
from uuid import UUID

from testbed.fleet.course import Course, Labels, counter, histogram
from testbed.fleet.pki import METRICS as OF_THE_PKI
from testbed.fleet.pki import pki
from testbed.fleet.trust_anchors import ct_and_acme, trust_lists
from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Metric
from trust_otel.setting_lists import DETECTORS

SERVICES: Final = ("document-service", "signing-service", "validation-service")
ENVIRONMENTS: Final = ("production", "staging")
INSTANCES: Final = 50
_BAD: Final = ("production", "document-service", 17)
# Staging differs so much that a sum over both environments is not mistaken for production.
_LOAD: Final = {"production": 1.0, "staging": 40.0, "": 1.0}
_SLOWNESS: Final = {"production": 1.0, "staging": 5.0, "": 1.0}
_ERRORS: Final = {"production": 0.002, "staging": 0.3, "": 0.0}
_BAD_SLOWNESS, _BAD_ERRORS = 25.0, 0.4
_MEBIBYTE: Final = 2**20
_DAY: Final = 86_400
_POOL: Final = {"db_client_connection_pool_name": "postgresql/trust"}
_DATABASE: Final = {"db_system_name": "postgresql", "db_namespace": "trust"}
_COUNTRIES: Final = {"DE": "EUR", "FR": "EUR", "CH": "CHF"}
_CODES: Final = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True)
class Instance:
    """An instance of a service.

    Attributes:
        environment: Its deployment environment.
        service: Name of its service.
        number: From 0 within the service and environment.
    """

    environment: str
    service: str
    number: int

    @property
    def pod(self) -> str:
        code = "".join(self._random().choices(_CODES, k=5))
        return f"{self.service}-7d9c8b6f5-{code}"

    @property
    def id(self) -> str:
        """A random UUID, as the SDK generates it."""
        return str(UUID(int=self._random().getrandbits(128), version=4))

    @property
    def is_bad(self) -> bool:
        """Whether it is slow, fails, leaks memory and has used up its connection pool."""
        return (self.environment, self.service, self.number) == _BAD

    @property
    def is_detailed(self) -> bool:
        """Whether it records rare events, too: a few instances do, to keep the fleet small."""
        return self.number % 5 == 0 or self.is_bad

    @property
    def labels(self) -> Labels:
        environment = {"deployment_environment_name": self.environment} if self.environment else {}
        return {
            **environment,
            "service_namespace": "trust",
            "service_name": self.service,
            "service_instance_id": self.id,
            "k8s_pod_name": self.pod,
        }

    def _random(self) -> Random:
        return Random(f"{self.environment} {self.service} {self.number}")  # noqa: S311 - no secret


NODES: Final = 20
BAD_INSTANCE: Final = Instance(*_BAD)
GONE_INSTANCE: Final = Instance("production", "validation-service", 33)
"""Is killed some minutes before the end."""
WITHOUT_ENVIRONMENT: Final = Instance("", "archive-service", 0)
"""Sets no deployment environment."""


def instances() -> Iterator[Instance]:
    """All instances."""
    for environment in ENVIRONMENTS:
        for service in SERVICES:
            yield from (Instance(environment, service, number) for number in range(INSTANCES))
    yield WITHOUT_ENVIRONMENT


def courses_of(instance: Instance, begin: int) -> Iterator[Course]:
    """The series of an instance from `begin` (Unix time) on."""
    courses = list(_own_courses(instance, begin))
    if instance.is_detailed and instance.service == "document-service":
        names = {course.name for course in courses}
        others = [
            metric
            for metric in metrics.ALL.values()
            if metric not in OF_THE_PKI and not names & {_name(metric), f"{_name(metric)}_count"}
        ]
        courses += [course for metric in others for course in _any_series(metric, instance, begin)]
    for course in courses:
        yield Course(course.name, {**instance.labels, **course.labels}, course.first, course.per_second)


def _any_series(metric: Metric, instance: Instance, begin: int) -> Iterator[Course]:
    """A series of a metric, with the first value of each attribute."""
    load, slowness, _ = _behaviour(instance)
    values = {each.label: (*each.members, *each.examples, "any")[0] for each in metric.attributes}
    labels = {label: str(value) for label, value in values.items() if label != "error_type"}
    if metric.instrument == "histogram":
        yield from histogram(metric, labels, 0.1 * load, metric.buckets[-1] / 100 * slowness)
    elif metric.instrument == "counter":
        yield counter(_name(metric), labels, 0.01 * load)
    else:
        is_time = metric.instrument == "gauge" and _name(metric).endswith("_seconds")
        yield Course(_name(metric), labels, begin + 20 * _DAY / load if is_time else load)


def _own_courses(instance: Instance, begin: int) -> Iterator[Course]:
    yield from _process(instance)
    yield from _requests(instance)
    yield from _database(instance)
    yield from _dependencies(instance, begin)
    if instance.is_detailed:
        yield from _security(instance)
        yield from _compliance(instance)
        yield from _certificate_operations(instance)
        yield from pki(instance.service, begin, *_behaviour(instance)[:2], instance.is_bad)
        yield from _keys(instance)
        yield from trust_lists(begin, _LOAD[instance.environment])
        yield from ct_and_acme(_LOAD[instance.environment], _behaviour(instance)[2])
        if instance.service == "document-service":
            yield from _business(instance)


def _process(instance: Instance) -> Iterator[Course]:
    load = _LOAD[instance.environment]
    busy = 0.9 if instance.is_bad else 0.2 + instance.number / 1000
    for kind, share in (("user", 0.8), ("system", 0.2)):
        yield counter(_name(metrics.PROCESS_CPU_TIME), {"type": kind}, busy * share * load)
    leak = 0.5 * _MEBIBYTE if instance.is_bad else 0
    yield Course(_name(metrics.PROCESS_MEMORY_USAGE), {}, (180 + instance.number) * _MEBIBYTE * load, leak)
    yield Course(_name(metrics.TRUST_OTEL_INSTANCE_UP), {}, 1)
    yield counter(_name(metrics.TRUST_OTEL_DROPPED), {"reason": "invalid_value"}, 0.001 * load)
    yield counter(_name(metrics.TRUST_OTEL_OVERFLOW), {"metric": "http.server.request.duration"}, 0.001 * load)
    threads = _name(metrics.TRUST_EXECUTOR_THREADS)
    yield Course(threads, {"trust_executor_name": "anyio", "trust_executor_state": "active"}, 4 * load)
    yield Course(threads, {"trust_executor_name": "anyio", "trust_executor_state": "max"}, 40 * load)
    waiting = 25.0 if instance.is_bad else 0.0
    yield Course(_name(metrics.TRUST_EXECUTOR_QUEUE_SIZE), {"trust_executor_name": "anyio"}, waiting + load - 1)
    yield Course(_name(metrics.TRUST_SESSION_ACTIVE), {}, 20 * load)


def _requests(instance: Instance) -> Iterator[Course]:
    load, slowness, errors = _behaviour(instance)
    routes = (("GET", "/documents/{document_id}", 3.0, 0.04), ("POST", "/documents", 1.0, 0.12))
    for method, route, rate, mean in routes:
        place = {"http_request_method": method, "url_scheme": "https", "http_route": route}
        for code, share in (("200", 1 - errors), ("500", errors)):
            labels = {**place, "http_response_status_code": code}
            yield from histogram(metrics.HTTP_SERVER_REQUEST_DURATION, labels, rate * share * load, mean * slowness)
    if instance.service == "document-service":
        return
    call = {"rpc_method": "trust.v1.TrustService/Validate", "trust_rpc_type": "unary"}
    for code, share in (("OK", 1 - errors), ("UNAVAILABLE", errors)):
        labels = {**call, "rpc_system_name": "grpc", "rpc_response_status_code": code}
        yield from histogram(metrics.RPC_SERVER_CALL_DURATION, labels, 2 * share * load, 0.03 * slowness)
    for direction in ("received", "sent"):
        labels = {**call, "trust_rpc_message_direction": direction}
        yield counter(_name(metrics.TRUST_RPC_SERVER_MESSAGES), labels, 2 * load)
    yield Course(_name(metrics.TRUST_RPC_SERVER_ACTIVE_CALLS), call, 2 * load)


def _database(instance: Instance) -> Iterator[Course]:
    load, slowness, errors = _behaviour(instance)
    size = 10.0
    used = size if instance.is_bad else 2.0
    states = {"used": used * (3 if load > 1 else 1), "idle": size - used}
    for state, number in states.items():
        yield Course(_name(metrics.DB_CLIENT_CONNECTION_COUNT), {**_POOL, "db_client_connection_state": state}, number)
    yield Course(_name(metrics.DB_CLIENT_CONNECTION_MAX), _POOL, size)
    waiting = 30.0 if instance.is_bad else 0.0
    yield Course(_name(metrics.DB_CLIENT_CONNECTION_PENDING_REQUESTS), _POOL, waiting + load - 1)
    operation = {**_DATABASE, "db_operation_name": "SELECT"}
    yield from histogram(metrics.DB_CLIENT_OPERATION_DURATION, operation, 6 * load, 0.004 * slowness)
    yield counter(_name(metrics.TRUST_DB_CLIENT_SLOW_OPERATIONS), operation, 6 * load * errors)
    for outcome, rate in (("commit", 2.0), ("rollback", 0.01)):
        labels = {**_DATABASE, "trust_db_transaction_outcome": outcome}
        yield counter(_name(metrics.TRUST_DB_CLIENT_TRANSACTIONS), labels, rate * load)


def _dependencies(instance: Instance, begin: int) -> Iterator[Course]:
    _, slowness, _ = _behaviour(instance)
    for name, kind in (("database", "database"), ("vault", "vault")):
        labels = {"trust_dependency_name": name, "trust_dependency_type": kind}
        yield Course(_name(metrics.TRUST_DEPENDENCY_UP), labels, 0 if instance.is_bad and name == "database" else 1)
    yield from histogram(metrics.TRUST_DEPENDENCY_CHECK_DURATION, labels, 0.1, 0.01 * slowness)
    for kind, name in (("reputation", "/etc/trust/blocklist"), ("geoip", "/etc/trust/countries.mmdb")):
        labels = {"trust_otel_source_kind": kind, "trust_otel_source_name": name}
        yield Course(_name(metrics.TRUST_OTEL_SOURCE_UP), labels, 1)
        age = 600 * _LOAD[instance.environment]
        yield Course(_name(metrics.TRUST_OTEL_SOURCE_LAST_READ), labels, begin - age, 1)


def _security(instance: Instance) -> Iterator[Course]:
    load, _, errors = _behaviour(instance)
    rate = 0.2 * load
    for method in ("password", "certificate"):
        for country in _COUNTRIES:
            for outcome, share in (("success", 0.9), ("failure", 0.05 + errors / 2), ("error", 0.01)):
                labels = {"trust_auth_method": method, "trust_outcome": outcome, "geo_country_iso_code": country}
                yield counter(_name(metrics.TRUST_AUTH_ATTEMPTS), labels, rate * share)
    for outcome, share in (("success", 0.9), ("failure", 0.1 + errors)):
        labels = {"trust_auth_mfa_method": "totp", "trust_outcome": outcome}
        yield counter(_name(metrics.TRUST_AUTH_MFA_CHALLENGES), labels, rate * share)
    for number in range(3):
        address = f"203.0.113.{instance.number + number}"
        yield counter(_name(metrics.TRUST_SECURITY_AUTH_FAILURES), {"client_address": address}, 0.02 * load)
    yield counter(_name(metrics.TRUST_SECURITY_AUTH_FAILURES), {"client_address": "_other"}, 0.01 * load)
    for kind, severity in (("credential_stuffing", "critical"), ("path_scanning", "warning"), ("mfa_fatigue", "info")):
        labels = {"trust_security_incident_type": kind, "trust_severity": severity}
        yield counter(_name(metrics.TRUST_SECURITY_INCIDENTS), labels, 0.003 * load)
    for kind in DETECTORS:
        yield Course(_name(metrics.TRUST_SECURITY_DETECTOR_ENABLED), {"trust_security_incident_type": kind}, 1)
    yield counter(_name(metrics.TRUST_SECURITY_RATE_LIMITED), {"trust_rate_limit_name": "login"}, 0.05 * load)
    labels = {"trust_threat_feed": "blocklist", "geo_country_iso_code": "CH"}
    yield counter(_name(metrics.TRUST_SECURITY_THREAT_MATCHES), labels, 0.02 * load)
    for decision, share in (("grant", 1.0), ("deny", 0.05)):
        labels = {"trust_authz_decision": decision, "trust_authz_resource_type": "document"}
        yield counter(_name(metrics.TRUST_AUTHZ_DECISIONS), labels, rate * share)


def _compliance(instance: Instance) -> Iterator[Course]:
    load, _, errors = _behaviour(instance)
    rate = 0.05 * load
    action = {"trust_audit_action": "certificate.issue"}
    unrecorded = 5 * (load - 1)
    began = counter(_name(metrics.TRUST_AUDIT_OPERATIONS), action, rate)
    yield Course(began.name, action, began.first + unrecorded, began.per_second)
    for outcome, share in (("success", 1 - errors), ("failure", errors)):
        yield counter(_name(metrics.TRUST_AUDIT_EVENTS), {**action, "trust_outcome": outcome}, rate * share)
        control = {"trust_compliance_framework": "eidas", "trust_compliance_control": "signature_policy"}
        yield counter(_name(metrics.TRUST_COMPLIANCE_CHECKS), {**control, "trust_outcome": outcome}, rate * share)


def _certificate_operations(instance: Instance) -> Iterator[Course]:
    load, slowness, errors = _behaviour(instance)
    for operation, rate in (("validation", 1.0), ("signing", 0.5), ("issuance", 0.1)):
        for outcome, share in (("success", 1 - errors), ("failure", errors)):
            labels = {"trust_certificate_operation": operation, "trust_outcome": outcome}
            duration = metrics.TRUST_CERTIFICATE_OPERATION_DURATION
            yield from histogram(duration, labels, rate * share * load, 0.01 * slowness)


def _keys(instance: Instance) -> Iterator[Course]:
    load, slowness, errors = _behaviour(instance)
    token = {"trust_pkcs11_token_label": "issuing-ca"}
    duration, active = metrics.TRUST_PKCS11_OPERATION_DURATION, _name(metrics.TRUST_PKCS11_OPERATION_ACTIVE)
    for operation, mechanism, rate in (("sign", "CKM_ECDSA", 0.5), ("verify", "CKM_ECDSA", 0.2)):
        done = {**token, "trust_pkcs11_operation": operation, "trust_pkcs11_mechanism": mechanism}
        yield from histogram(duration, done, rate * (1 - errors) * load, 0.005 * slowness)
        yield from histogram(duration, {**done, "error_type": "CKR_DEVICE_ERROR"}, rate * errors * load, 0.005)
        yield Course(active, {**token, "trust_pkcs11_operation": operation}, load)
    limit = 10.0
    used = limit if instance.is_bad else 2.0
    yield Course(_name(metrics.TRUST_PKCS11_SESSION_COUNT), token, used * (3 if load > 1 else 1))
    yield Course(_name(metrics.TRUST_PKCS11_SESSION_MAX), token, limit)
    for state, number in (("token", 1.0), ("empty", 2.0)):
        yield Course(_name(metrics.TRUST_PKCS11_SLOT_COUNT), {"trust_pkcs11_slot_state": state}, number * load)
    for kind in ("public", "private"):
        labels = {**token, "trust_pkcs11_memory_type": kind}
        yield Course(_name(metrics.TRUST_PKCS11_TOKEN_MEMORY_FREE), labels, 200_000 * load)
    for use, share in (("allowed", 1.0), ("outside_hours", 0.001), ("over_rate", 0.001)):
        labels = {"trust_key_name": "issuing-ca", "trust_key_use": use}
        yield counter(_name(metrics.TRUST_KEY_USES), labels, 0.5 * share * load)
    for approval, share in (("granted", 1.0), ("denied", 0.1), ("expired", 0.05)):
        labels = {"trust_key_name": "issuing-ca", "trust_key_approval": approval}
        yield counter(_name(metrics.TRUST_KEY_APPROVALS), labels, 0.01 * share * load)


def _business(instance: Instance) -> Iterator[Course]:
    load, slowness, errors = _behaviour(instance)
    for kind in ("passport", "diploma"):
        for outcome, share in (("success", 1 - errors), ("failure", errors)):
            labels = {"trust_document_type": kind, "trust_outcome": outcome, "geo_country_iso_code": "DE"}
            duration = metrics.TRUST_DOCUMENT_PROCESSING_DURATION
            yield from histogram(duration, labels, 0.5 * share * load, 0.2 * slowness)
    money = (
        (metrics.TRUST_REVENUE_AMOUNT, 2.0),
        (metrics.TRUST_FEE_AMOUNT, 0.2),
        (metrics.TRUST_COST_AMOUNT, 0.5),
        (metrics.TRUST_REFUND_AMOUNT, 0.02),
    )
    for country, currency in _COUNTRIES.items():
        place = {"trust_currency": currency, "geo_country_iso_code": country, "trust_client_name": "acme"}
        for metric, amount in money:
            yield counter(_name(metric), place, amount * load)
    # Means of 4 and 2.
    scores = (0.05, 0.05, 0.15, 0.35, 0.40)
    yield from _satisfaction(0.01 * load, scores[::-1] if load > 1 else scores)
    sla = {"trust_sla_name": "document_processing"}
    yield Course(_name(metrics.TRUST_SLA_OBJECTIVE), sla, 0.99 / (1 if load == 1 else 2))
    for outcome, share in (("success", 1 - errors), ("failure", errors)):
        labels = {**sla, "trust_outcome": outcome, "trust_client_name": "acme"}
        yield counter(_name(metrics.TRUST_SLA_EVENTS), labels, share * load)
    for outcome, share in (("success", 1 - 2 * errors), ("failure", errors), ("error", errors)):
        labels = {"trust_client_name": "acme", "trust_outcome": outcome}
        yield counter(_name(metrics.TRUST_CLIENT_REQUESTS), labels, share * load)
    yield counter(_name(metrics.TRUST_KPI_AMOUNT), {"trust_kpi_name": "contracts_signed"}, 0.1 * load)
    yield Course(_name(metrics.TRUST_KPI_VALUE), {"trust_kpi_name": "open_orders"}, 12 * load)


def _satisfaction(per_second: float, shares: Sequence[float]) -> Iterator[Course]:
    """Customer scores, with the share of each from 1 on."""
    name = _name(metrics.TRUST_CUSTOMER_SATISFACTION)
    for score, share in enumerate(accumulate(shares), start=1):
        yield counter(f"{name}_bucket", {"le": f"{score}"}, per_second * share)
    yield counter(f"{name}_bucket", {"le": "+Inf"}, per_second)
    yield counter(f"{name}_count", {}, per_second)
    yield counter(f"{name}_sum", {}, per_second * sum(score * share for score, share in enumerate(shares, start=1)))


def _behaviour(instance: Instance) -> tuple[float, float, float]:
    """Load, slowness and share of errors."""
    # Instances differ a little, so that the worst ones are always the same.
    slowness = 1 + instance.number / 1000
    if instance.is_bad:
        return 1, _BAD_SLOWNESS, _BAD_ERRORS
    name = instance.environment
    return _LOAD[name], _SLOWNESS[name] * slowness, _ERRORS[name] * slowness


def _name(metric: Metric) -> str:
    return metric.prometheus_name
