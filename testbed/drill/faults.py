"""Everything that can go wrong on purpose; each fault lasts while its block is open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
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

from testbed.drill.callers import Callers, again_and_again
from testbed.drill.environment import Scene
from testbed.drill.pressure import disk_filled, memory_taken
from testbed.drill.trial import Happening
from testbed.load_generator.population import BLOCKED_ADDRESS
from testbed.load_generator.samples import UNTRUSTED_CERTIFICATE, forged

GUESSER, _IMPATIENT, _REPLAYER = "203.0.113.22", "203.0.113.23", "192.0.2.5"
# Who waits three seconds asks every three seconds; together they make a good part of the requests.
_WAITING = 30
# More than the rules ask for (ten); and of all requests until they are counted, at most four minutes of them, above one
# in a thousand.
FEW = 14
# Fewer than the service has connections to its database.
_READERS = 6


def fault(name: str, *, archive: bool = False) -> Happening:
    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        with (scene.archive if archive else scene.callers).fault(name):
            yield

    return happen


# Availability and latency.


def some(fault: str, call: Callable[[Callers], object], times: int) -> Happening:
    """A fault for so few of the archive's callers that the budget burns slowly."""

    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        with scene.archive.fault(fault), ThreadPoolExecutor(times) as callers:
            for _ in range(times):
                callers.submit(call, scene.archive)
        yield

    return happen


@contextmanager
def few_bad_answers(scene: Scene) -> Iterator[None]:
    for fault, times in (("answers-broken", FEW), ("answers-slow", 150)):
        with some(fault, Callers.ask_prices, times)(scene):
            pass
    yield


@contextmanager
def slow_answers(scene: Scene) -> Iterator[None]:
    with scene.archive.fault("answers-slow"), again_and_again(scene.archive.ask_prices, 5, _WAITING):
        yield


@contextmanager
def unjudged(scene: Scene) -> Iterator[None]:
    with scene.archive.fault("revocation-unknown"):
        yield


@contextmanager
def killed_instance(scene: Scene) -> Iterator[None]:
    scene.gateway.pop().kill()
    yield


@contextmanager
def no_instance(scene: Scene) -> Iterator[None]:
    while scene.gateway:
        scene.gateway.pop().kill()
    try:
        yield
    finally:
        scene.gateway.append(scene.start_instance())


@contextmanager
def memory(_scene: Scene) -> Iterator[None]:
    with memory_taken():
        yield


@contextmanager
def disk(scene: Scene) -> Iterator[None]:
    with disk_filled(scene.folder / "small-disk"):
        yield


# Security.


@contextmanager
def guessed_tokens(scene: Scene) -> Iterator[None]:
    with again_and_again(lambda: scene.callers.invent_token(GUESSER), 20):
        yield


@contextmanager
def forged_certificate(scene: Scene) -> Iterator[None]:
    scene.callers.validate_over_http(forged(scene.callers.sign()))
    yield


@contextmanager
def replayed_session(scene: Scene) -> Iterator[None]:
    scene.callers.replay_session(_REPLAYER)
    yield


@contextmanager
def blocked_guest(scene: Scene) -> Iterator[None]:
    scene.callers.log_in("nobody", BLOCKED_ADDRESS)
    yield


@contextmanager
def impatient_guest(scene: Scene) -> Iterator[None]:
    with again_and_again(lambda: scene.callers.log_in("nobody", _IMPATIENT), 20):
        yield


@contextmanager
def lost_audit_records(scene: Scene) -> Iterator[None]:
    def block() -> None:
        scene.callers.administer("PUT", "/blocklist/203.0.113.99")

    with scene.callers.fault("audit-lost"), again_and_again(block, 5):
        yield


@contextmanager
def sealed_vault(scene: Scene) -> Iterator[None]:
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
def refused_certificates(scene: Scene) -> Iterator[None]:
    with again_and_again(lambda: scene.callers.validate_over_http(UNTRUSTED_CERTIFICATE), 15):
        yield


def expiring(name: str, days_ago: int, days_left: int) -> Happening:
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
def signer_without_key(scene: Scene) -> Iterator[None]:
    with scene.callers.fault("signer-broken"), again_and_again(scene.callers.sign, 2):
        yield


# Business.


@contextmanager
def no_customers(scene: Scene) -> Iterator[None]:
    scene.stop_traffic()
    try:
        yield
    finally:
        scene.start_traffic()


@contextmanager
def weak_signature(scene: Scene) -> Iterator[None]:
    # The service refuses it, which is what is to be seen.
    with suppress(grpc.RpcError):
        scene.callers.sign("sha1")
    yield


# gRPC.


def calls(fault: str, *, stream: bool = False) -> Happening:
    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        caller = scene.archive
        call = caller.validate_stream if stream else caller.validate
        with caller.fault(fault), again_and_again(call, 5, callers=4):
            yield

    return happen


# Databases.


@contextmanager
def stopped_database(scene: Scene) -> Iterator[None]:
    scene.primary.stop()
    try:
        yield
    finally:
        scene.primary.start()


@contextmanager
def locked_table(scene: Scene) -> Iterator[None]:
    def lock() -> None:
        with psycopg.connect(scene.primary.url) as connection:
            connection.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")
            time.sleep(0.8)

    # Without readers of its own, chance decides whether anybody waits.
    with again_and_again(lock, 4), again_and_again(scene.callers.rate_document, 5, _READERS):
        yield


@contextmanager
def paused_replica(scene: Scene) -> Iterator[None]:
    scene.standby.pause_replay()
    try:
        yield
    finally:
        scene.standby.resume_replay()


@contextmanager
def stopped_cache(scene: Scene) -> Iterator[None]:
    scene.redis.stop()
    try:
        yield
    finally:
        scene.redis.start()


# Infrastructure.


def node(condition: str, status: str) -> Happening:
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
def crashing_pod(scene: Scene) -> Iterator[None]:
    pod = scene.kubernetes.cluster.pods[1]
    pod.crash_again_and_again(every=scene.seconds("3m"))
    try:
        yield
    finally:
        pod.recover()


@contextmanager
def full_container(scene: Scene) -> Iterator[None]:
    pod = scene.kubernetes.cluster.pods[1]
    usual = pod.working_set_bytes
    pod.working_set_bytes = int(pod.memory_limit_bytes * 0.95)
    try:
        yield
    finally:
        pod.working_set_bytes = usual


@contextmanager
def broken_packets(scene: Scene) -> Iterator[None]:
    pod = scene.kubernetes.cluster.pods[1]
    pod.received.fail(0.05)
    try:
        yield
    finally:
        pod.received.fail(0)


# What watches the others.


def stopped(component: str) -> Happening:
    @contextmanager
    def happen(scene: Scene) -> Iterator[None]:
        scene.stack.stop(component)
        try:
            yield
        finally:
            scene.stack.start(component)

    return happen


@contextmanager
def damaged_queue(scene: Scene) -> Iterator[None]:
    queue = scene.stack.directory / "collector" / "queue"
    scene.stack.stop("collector")
    for file in queue.glob("exporter_*"):
        file.write_bytes(bytes(file.stat().st_size))
    scene.stack.start("collector")
    try:
        yield
    finally:
        for damaged in queue.glob("*.damaged-*"):
            damaged.unlink()


@contextmanager
def cut_link(scene: Scene) -> Iterator[None]:
    scene.link.cut()
    try:
        yield
    finally:
        scene.link.mend()


@contextmanager
def late_data(scene: Scene) -> Iterator[None]:
    _push(scene, {"late": 1.0}, time.time() - 86_400)
    yield


@contextmanager
def broken_rule(scene: Scene) -> Iterator[None]:
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
def deaf_receiver(scene: Scene) -> Iterator[None]:
    scene.receivers.fail("slack:business", status=404)
    try:
        with weak_signature(scene):
            yield
    finally:
        scene.receivers.restore("slack:business")


@contextmanager
def too_many_kinds(scene: Scene) -> Iterator[None]:
    pipe = scene.gateway[0].stdin
    if pipe is not None:
        pipe.write(b"overflow\n")
        pipe.flush()
    yield


@contextmanager
def gone_folder(scene: Scene) -> Iterator[None]:
    hidden = scene.certificates.with_name("hidden")
    scene.certificates.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(scene.certificates)


@contextmanager
def spoilt_feed(scene: Scene) -> Iterator[None]:
    usual = scene.feed.read_text()
    scene.feed.write_text("<html>Service unavailable</html>\n")
    try:
        yield
    finally:
        scene.feed.write_text(usual)
