"""Everything that is let go wrong, in rounds: what is in one round happens at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc
import httpx
import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from examples.drill.callers import Callers, again_and_again
from examples.drill.pressure import disk_filled, memory_taken
from examples.drill.scene import ARCHIVE, GATEWAY, SERVICE, Scene
from examples.drill.trial import Expected, Happening, Trial
from trust_otel.simulation.population import BLOCKED_ADDRESS
from trust_otel.simulation.samples import UNTRUSTED_CERTIFICATE, forged

_GUESSER, _IMPATIENT, _REPLAYER = "203.0.113.22", "203.0.113.23", "192.0.2.5"
# Who waits three seconds asks every three seconds; together they make a good part of the requests.
_WAITING = 30


def _fault(name: str, *, archive: bool = False) -> Happening:
    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        with (scene.archive if archive else scene.callers).fault(name):
            yield

    return happen


# Availability and latency.


def _some(fault: str, call: Callable[[Callers], object], times: int) -> Happening:
    """A fault for so few of the archive's callers that the budget burns slowly."""

    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        with scene.archive.fault(fault), ThreadPoolExecutor(times) as callers:
            for _ in range(times):
                callers.submit(call, scene.archive)
        yield

    return happen


@contextmanager
def _few_bad_answers(scene: Scene) -> Iterator[None]:
    for fault, times in (("answers-broken", 10), ("answers-slow", 200)):
        with _some(fault, Callers.ask_prices, times)(scene):
            pass
    yield


@contextmanager
def _slow_answers(scene: Scene) -> Iterator[None]:
    with scene.archive.fault("answers-slow"), ExitStack() as callers:
        for _ in range(_WAITING):
            callers.enter_context(again_and_again(scene.archive.ask_prices, 5))
        yield


@contextmanager
def _unjudged(scene: Scene) -> Iterator[None]:
    with scene.archive.fault("revocation-unknown"):
        yield


@contextmanager
def _killed_instance(scene: Scene) -> Iterator[None]:
    scene.gateway.pop().kill()
    yield


@contextmanager
def _no_instance(scene: Scene) -> Iterator[None]:
    while scene.gateway:
        scene.gateway.pop().kill()
    try:
        yield
    finally:
        scene.gateway.append(scene.start_instance())


@contextmanager
def _memory(_scene: Scene) -> Iterator[None]:
    with memory_taken():
        yield


@contextmanager
def _disk(scene: Scene) -> Iterator[None]:
    with disk_filled(scene.folder / "small-disk"):
        yield


# Security.


@contextmanager
def _guessed_tokens(scene: Scene) -> Iterator[None]:
    with again_and_again(lambda: scene.callers.invent_token(_GUESSER), 20):
        yield


@contextmanager
def _forged_certificate(scene: Scene) -> Iterator[None]:
    scene.callers.validate_over_http(forged(scene.callers.sign()))
    yield


@contextmanager
def _replayed_session(scene: Scene) -> Iterator[None]:
    scene.callers.replay_session(_REPLAYER)
    yield


@contextmanager
def _blocked_guest(scene: Scene) -> Iterator[None]:
    scene.callers.log_in("nobody", BLOCKED_ADDRESS)
    yield


@contextmanager
def _impatient_guest(scene: Scene) -> Iterator[None]:
    with again_and_again(lambda: scene.callers.log_in("nobody", _IMPATIENT), 20):
        yield


@contextmanager
def _lost_audit_records(scene: Scene) -> Iterator[None]:
    def block() -> None:
        scene.callers.administer("PUT", "/blocklist/203.0.113.99")

    with scene.callers.fault("audit-lost"), again_and_again(block, 5):
        yield


@contextmanager
def _sealed_vault(scene: Scene) -> Iterator[None]:
    with httpx.Client(
        base_url=scene.service.vault_url, headers={"x-vault-token": scene.service.vault_token}, trust_env=False
    ) as vault:
        vault.put("/v1/sys/seal").raise_for_status()
        try:
            yield
        finally:
            vault.put("/v1/sys/unseal", json={"key": scene.service.vault_token}).raise_for_status()


# Certificates.


@contextmanager
def _refused_certificates(scene: Scene) -> Iterator[None]:
    with again_and_again(lambda: scene.callers.validate_over_http(UNTRUSTED_CERTIFICATE), 15):
        yield


def _expiring(name: str, days_ago: int, days_left: int) -> Happening:
    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        file = scene.certificates / f"{name}.pem"
        _certify(file, name, days_ago, days_left)
        try:
            yield
        finally:
            _certify(file, name, 0, 365)

    return happen


def _certify(file: Path, name: str, days_ago: int, days_left: int) -> None:
    now, key = datetime.now(timezone.utc), ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=days_ago))
        .not_valid_after(now + timedelta(days=days_left))
        .sign(key, hashes.SHA256())
    )
    unfinished = file.with_name(f".{name}.new")
    unfinished.write_bytes(certificate.public_bytes(Encoding.PEM))
    unfinished.replace(file)


@contextmanager
def _signer_without_key(scene: Scene) -> Iterator[None]:
    with scene.callers.fault("signer-broken"), again_and_again(scene.callers.sign, 2):
        yield


# Business.


@contextmanager
def _no_customers(scene: Scene) -> Iterator[None]:
    scene.stop_traffic()
    try:
        yield
    finally:
        scene.start_traffic()


@contextmanager
def _weak_signature(scene: Scene) -> Iterator[None]:
    # The service refuses it, which is what is to be seen.
    with suppress(grpc.RpcError):
        scene.callers.sign("sha1")
    yield


# gRPC.


def _calls(fault: str, *, stream: bool = False) -> Happening:
    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        caller = scene.archive
        call = caller.validate_stream if stream else caller.validate
        with caller.fault(fault), ExitStack() as callers:
            for _ in range(4):
                callers.enter_context(again_and_again(call, 5))
            yield

    return happen


# Databases.


@contextmanager
def _stopped_database(scene: Scene) -> Iterator[None]:
    scene.primary.stop()
    try:
        yield
    finally:
        scene.primary.start()


@contextmanager
def _locked_table(scene: Scene) -> Iterator[None]:
    def lock() -> None:
        with psycopg.connect(scene.primary.url) as connection:
            connection.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")
            time.sleep(0.8)

    with again_and_again(lock, 4):
        yield


@contextmanager
def _paused_replica(scene: Scene) -> Iterator[None]:
    scene.standby.pause_replay()
    try:
        yield
    finally:
        scene.standby.resume_replay()


@contextmanager
def _stopped_cache(scene: Scene) -> Iterator[None]:
    scene.redis.stop()
    try:
        yield
    finally:
        scene.redis.start()


# Infrastructure.


def _node(condition: str, status: str) -> Happening:
    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        node = scene.kubernetes.cluster.nodes[0]
        usual = node.conditions[condition]
        node.set_condition(condition, status)
        try:
            yield
        finally:
            node.set_condition(condition, usual)

    return happen


@contextmanager
def _crashing_pod(scene: Scene) -> Iterator[None]:
    pod = scene.kubernetes.cluster.pods[1]
    pod.crash_again_and_again(every=scene.seconds("3m"))
    try:
        yield
    finally:
        pod.recover()


@contextmanager
def _full_container(scene: Scene) -> Iterator[None]:
    pod = scene.kubernetes.cluster.pods[1]
    usual = pod.working_set_bytes
    pod.working_set_bytes = int(pod.memory_limit_bytes * 0.95)
    try:
        yield
    finally:
        pod.working_set_bytes = usual


@contextmanager
def _broken_packets(scene: Scene) -> Iterator[None]:
    pod = scene.kubernetes.cluster.pods[1]
    pod.received.fail(0.05)
    try:
        yield
    finally:
        pod.received.fail(0)


# What watches the others.


def _stopped(component: str) -> Happening:
    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        scene.stack.stop(component)
        try:
            yield
        finally:
            scene.stack.start(component)

    return happen


@contextmanager
def _cut_link(scene: Scene) -> Iterator[None]:
    scene.link.cut()
    try:
        yield
    finally:
        scene.link.mend()


@contextmanager
def _late_data(scene: Scene) -> Iterator[None]:
    _push(scene, {"late": 1.0}, time.time() - 86_400)
    yield


@contextmanager
def _broken_rule(scene: Scene) -> Iterator[None]:
    def push() -> None:
        _push(scene, {"a": 1.0, "b": 1.0}, time.time())

    with again_and_again(push, 2):
        yield
    _push(scene, {"a": 0.0, "b": 0.0}, time.time())


def _push(scene: Scene, values: dict[str, float], at: float) -> None:
    """A gauge `drill_fault{part}` by OTLP."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "drill"
    metric = resource.scope_metrics.add().metrics.add(name="drill_fault")
    for part, value in values.items():
        point = metric.gauge.data_points.add(as_double=value, time_unix_nano=int(at * 1e9))
        point.attributes.add(key="part").value.string_value = part
    httpx.post(
        f"{scene.addresses.otlp_http}/v1/metrics",
        content=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        trust_env=False,
    ).raise_for_status()


@contextmanager
def _deaf_receiver(scene: Scene) -> Iterator[None]:
    scene.receivers.fail("slack:business", status=404)
    try:
        with _weak_signature(scene):
            yield
    finally:
        scene.receivers.restore("slack:business")


@contextmanager
def _too_many_kinds(scene: Scene) -> Iterator[None]:
    pipe = scene.gateway[0].stdin
    if pipe is not None:
        pipe.write(b"overflow\n")
        pipe.flush()
    yield


@contextmanager
def _gone_folder(scene: Scene) -> Iterator[None]:
    hidden = scene.certificates.with_name("hidden")
    scene.certificates.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(scene.certificates)


@contextmanager
def _spoilt_feed(scene: Scene) -> Iterator[None]:
    usual = scene.feed.read_text()
    scene.feed.write_text("<html>Service unavailable</html>\n")
    try:
        yield
    finally:
        scene.feed.write_text(usual)


@contextmanager
def _nothing(_scene: Scene) -> Iterator[None]:
    yield


def _of(service: str, **labels: str) -> dict[str, str]:
    return {"service": service, **labels}


_BURN = _of(ARCHIVE)
_POD = {"namespace": "trust", "container": "trust-service"}

# A round begins when the one before has ended. Faults that would hide each other's alerts, or cause them, are apart.
ROUNDS: tuple[tuple[Trial, ...], ...] = (
    (
        Trial(
            "of thousands of requests 10 fail, and then 200 take 3 s",
            _few_bad_answers,
            (
                Expected("TrustAvailabilityBudgetBurn", "warning", labels=_BURN),
                Expected("TrustLatencyBudgetBurn", "warning", labels=_BURN),
            ),
        ),
        Trial(
            "a few certificates cannot be judged",
            _some("revocation-unknown", Callers.validate, 10),
            (Expected("TrustValidationBudgetBurn", "warning", labels=_BURN),),
        ),
        Trial(
            "one address guesses tokens",
            _guessed_tokens,
            (
                Expected("TrustAuthFailuresFromAddress", "warning", "security", _of(SERVICE, client_address=_GUESSER)),
                Expected("TrustBruteForceFromAddress", "critical", "security", _of(SERVICE, client_address=_GUESSER)),
            ),
        ),
        Trial(
            "a forged certificate is shown",
            _forged_certificate,
            (
                Expected(
                    "TrustSuspiciousActivity",
                    "critical",
                    "security",
                    _of(SERVICE, trust_security_incident_type="forged_certificate"),
                ),
            ),
        ),
        Trial(
            "the token of an ended session is used",
            _replayed_session,
            (
                Expected(
                    "TrustSuspiciousActivity",
                    "warning",
                    "security",
                    _of(SERVICE, trust_security_incident_type="session_replay"),
                ),
            ),
        ),
        Trial(
            "a blocked address tries to log in",
            _blocked_guest,
            (
                Expected(
                    "TrustSuspiciousActivity",
                    "info",
                    "security",
                    _of(SERVICE, trust_security_incident_type="blocked_address"),
                ),
            ),
        ),
        Trial(
            "one address logs in without pause",
            _impatient_guest,
            (
                Expected(
                    "TrustExcessiveRateLimiting", "warning", "security", _of(SERVICE, trust_rate_limit_name="login")
                ),
            ),
        ),
        Trial(
            "privileged operations leave no record",
            _lost_audit_records,
            (
                Expected(
                    "TrustAuditRecordsMissing", "critical", "security", _of(SERVICE, trust_audit_action="address.block")
                ),
            ),
        ),
        Trial(
            "a certificate ends in 3 days",
            _expiring("gateway-tls", 90, 3),
            (
                Expected(
                    "TrustCertificateExpiring", "critical", labels=_of(SERVICE, trust_certificate_name="gateway-tls")
                ),
                *(
                    Expected(
                        "TrustCertificateExpiring",
                        "critical",
                        labels=_of(SERVICE, trust_certificate_name="gateway-tls"),
                        level=level,
                    )
                    for level in ("team-lead", "manager", "executives")
                ),
            ),
        ),
        Trial(
            "a certificate ends in 20 days",
            _expiring("archive-tls", 80, 20),
            (
                Expected(
                    "TrustCertificateExpiring", "warning", labels=_of(SERVICE, trust_certificate_name="archive-tls")
                ),
            ),
        ),
        Trial(
            "a document is to be signed with SHA-1",
            _weak_signature,
            (Expected("TrustComplianceFailure", "warning", "compliance", _of(SERVICE)),),
        ),
        Trial(
            "the registers answer late",
            _fault("registers-slow"),
            (Expected("TrustSlaViolation", "warning", "business", _of(SERVICE, trust_sla_name="document_processing")),),
        ),
        Trial(
            "the replica replays nothing",
            _paused_replica,
            (Expected("TrustDatabaseReplicationLag", "warning", labels={"service": "postgresql"}),),
        ),
        Trial(
            "one of two instances is killed",
            _killed_instance,
            (Expected("TrustServiceInstanceDown", "warning", labels=_of(GATEWAY)),),
        ),
        Trial(
            "a program takes 88 % of the host's memory",
            _memory,
            (Expected("TrustHostMemoryHigh", "critical", labels={"service": "host"}),),
        ),
        Trial(
            "80 kinds of document are made up",
            _too_many_kinds,
            (Expected("TrustCardinalityOverflow", "warning", labels=_of(GATEWAY)),),
        ),
    ),
    (
        Trial(
            "Vault is sealed",
            _sealed_vault,
            (Expected("TrustVaultUnavailable", "critical", "security", _of(SERVICE)),),
        ),
        Trial(
            "the list of revoked certificates is not renewed",
            _fault("revocation-list-stale"),
            (Expected("TrustRevocationListStale", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "a table is locked again and again",
            _locked_table,
            (Expected("TrustDatabaseSlowQueries", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "Redis is stopped",
            _stopped_cache,
            (Expected("TrustDependencyDown", "warning", labels=_of(SERVICE, trust_dependency_name="sessions")),),
        ),
        Trial(
            "the Redis exporter is stopped",
            _stopped("redis-exporter"),
            (Expected("TrustMonitoringTargetDown", "warning", labels={"service": "monitoring", "job": "redis"}),),
        ),
        Trial(
            "a file system is filled",
            _disk,
            (Expected("TrustHostDiskSpaceLow", "critical", labels={"service": "host"}),),
        ),
        Trial(
            "a container comes close to its limit",
            _full_container,
            (Expected("TrustContainerMemoryHigh", "critical", labels=_POD),),
        ),
        Trial(
            "a node is not ready",
            _node("Ready", "false"),
            (Expected("TrustKubernetesNodeUnhealthy", "critical", labels={"service": "kubernetes"}),),
        ),
        Trial(
            "a container crashes again and again",
            _crashing_pod,
            (Expected("TrustContainerRestartLoop", "warning", labels=_POD),),
        ),
        Trial(
            "5 % of a pod's packets are broken",
            _broken_packets,
            (Expected("TrustNetworkProblems", "warning", labels={"namespace": "trust"}),),
        ),
        Trial(
            "a sender's clock is a day late",
            _late_data,
            (Expected("TrustCollectorDropsData", "critical", labels={"service": "monitoring"}),),
        ),
        Trial(
            "a rule meets two series where one was",
            _broken_rule,
            (Expected("TrustRuleEvaluationFailures", "critical", labels={"service": "monitoring"}),),
        ),
        Trial(
            "a feed is an error page",
            _spoilt_feed,
            (Expected("TrustSourceUnreadable", "warning", labels=_of(SERVICE, trust_otel_source_kind="reputation")),),
        ),
        Trial(
            "gRPC calls fail",
            _calls("calls-broken"),
            (Expected("TrustGrpcHighErrorRate", "critical", labels=_of(ARCHIVE)),),
        ),
        Trial(
            "gRPC streams fail",
            _calls("streams-broken", stream=True),
            (Expected("TrustGrpcStreamFailures", "warning", labels=_of(ARCHIVE)),),
        ),
    ),
    (
        Trial(
            "one in two certificates is refused",
            _refused_certificates,
            (Expected("TrustCertificateValidationFailures", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "the key cannot be used",
            _signer_without_key,
            (Expected("TrustSigningFailures", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "gRPC calls take 3 s",
            _calls("calls-slow"),
            (Expected("TrustGrpcHighLatency", "warning", labels=_of(ARCHIVE)),),
        ),
        Trial(
            "the folder of certificates is gone",
            _gone_folder,
            (Expected("TrustCertificateInventoryStale", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "Slack refuses a channel's messages",
            _deaf_receiver,
            (Expected("TrustNotificationsFailing", "critical", labels={"service": "monitoring"}),),
        ),
    ),
    (
        Trial(
            "the authority does not answer",
            _fault("pki-unreachable"),
            (Expected("TrustPkiUnavailable", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "every request fails",
            _fault("answers-broken", archive=True),
            (
                Expected("TrustServiceHighErrorRate", "critical", labels=_of(ARCHIVE)),
                Expected("TrustAvailabilityBudgetBurn", "critical", labels=_BURN),
            ),
        ),
        Trial(
            "no certificate can be judged",
            _unjudged,
            (Expected("TrustValidationBudgetBurn", "critical", labels=_BURN),),
        ),
    ),
    (
        Trial(
            "every answer takes 3 s",
            _slow_answers,
            (
                Expected("TrustServiceHighLatency", "critical", labels=_of(ARCHIVE)),
                Expected("TrustLatencyBudgetBurn", "critical", labels=_BURN),
            ),
        ),
        Trial(
            "nobody gives a database connection back",
            _fault("pool-exhausted", archive=True),
            (Expected("TrustDatabaseConnectionProblems", "warning", labels=_of(ARCHIVE)),),
        ),
        Trial(
            "no customer comes",
            _no_customers,
            (
                Expected("TrustProcessingVolumeUnusual", "warning", "business", _of(SERVICE)),
                Expected("TrustRevenueDrop", "warning", "business", _of(SERVICE, trust_currency="EUR")),
            ),
        ),
    ),
    (
        Trial(
            "PostgreSQL is stopped",
            _stopped_database,
            (Expected("TrustDatabaseConnectionsFailed", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "the last instance is killed",
            _no_instance,
            (Expected("TrustServiceDown", "critical", labels=_of(GATEWAY)),),
        ),
    ),
    (
        Trial(
            "the line from the Collector to Prometheus is cut",
            _cut_link,
            (
                Expected("TrustCollectorCannotDeliver", "critical", labels={"service": "monitoring"}),
                Expected("TrustCollectorQueueFilling", "warning", labels={"service": "monitoring"}),
                Expected("TrustCollectorRefusesData", "warning", labels={"service": "monitoring"}),
            ),
        ),
    ),
    (
        Trial(
            "the Collector is stopped",
            _stopped("collector"),
            (Expected("TrustMonitoringTargetDown", "critical", labels={"service": "monitoring"}),),
        ),
    ),
)
