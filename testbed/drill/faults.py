"""The faults of the drill; each lasts while its block is open."""

from __future__ import annotations

import secrets
import subprocess
import sys
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
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from examples.demo.program import plain_environment
from testbed.drill.environment import ENVIRONMENT, SERVICE, Environment, telemetry_settings
from testbed.drill.hsm_client import KEY
from testbed.drill.pressure import disk_filled, memory_taken
from testbed.drill.service_client import ServiceClient, repeated_calls
from testbed.drill.trial import Fault
from testbed.load_generator.population import BLOCKED_ADDRESS
from testbed.load_generator.samples import UNTRUSTED_CERTIFICATE, forged
from testbed.softhsm import softhsm
from testbed.trust_list_files import VICAL
from testbed.trust_lists import new_signer

GUESSER, _RATE_LIMITED, _REPLAYER = "203.0.113.22", "203.0.113.23", "192.0.2.5"
# Each caller waits three seconds for its response, so many are needed for a considerable share of slow requests.
_SLOW_CALLERS = 30
# More than the rules' minimum of ten, and above 0.1 % of all requests in four minutes.
FEW_FAILURES = 14
_AHEAD_SECONDS = 120
CA = x509.BasicConstraints(ca=True, path_length=None)
DOCUMENT_SIGNER = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")])  # RFC 9336
_TLS_SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
# Fewer than the service's database connections.
_READERS = 6


def fault(name: str, *, archive: bool = False) -> Fault:
    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        with (environment.archive_client if archive else environment.client).fault(name):
            yield

    return inject


# Availability and latency.


def few_failures(fault: str, call: Callable[[ServiceClient], object], times: int) -> Fault:
    """A fault during `times` calls to the archive, so that its error budget burns slowly."""

    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        with environment.archive_client.fault(fault), ThreadPoolExecutor(times) as callers:
            for _ in range(times):
                callers.submit(call, environment.archive_client)
        yield

    return inject


@contextmanager
def few_errors_and_slow_responses(environment: Environment) -> Iterator[None]:
    for fault, times in (("answers-broken", FEW_FAILURES), ("answers-slow", 150)):
        with few_failures(fault, ServiceClient.get_prices, times)(environment):
            pass
    yield


@contextmanager
def slow_responses(environment: Environment) -> Iterator[None]:
    with (
        environment.archive_client.fault("answers-slow"),
        repeated_calls(environment.archive_client.get_prices, 5, _SLOW_CALLERS),
    ):
        yield


@contextmanager
def revocation_unknown(environment: Environment) -> Iterator[None]:
    with environment.archive_client.fault("revocation-unknown"):
        yield


@contextmanager
def killed_instance(environment: Environment) -> Iterator[None]:
    environment.gateway.pop().kill()
    yield


@contextmanager
def no_instances(environment: Environment) -> Iterator[None]:
    while environment.gateway:
        environment.gateway.pop().kill()
    try:
        yield
    finally:
        environment.gateway.append(environment.start_instance())


@contextmanager
def memory_pressure(_environment: Environment) -> Iterator[None]:
    with memory_taken():
        yield


@contextmanager
def full_disk(environment: Environment) -> Iterator[None]:
    with disk_filled(environment.folder / "small-disk"):
        yield


# Security.


@contextmanager
def guessed_tokens(environment: Environment) -> Iterator[None]:
    with repeated_calls(lambda: environment.client.try_invented_token(GUESSER), 20):
        yield


@contextmanager
def forged_certificate(environment: Environment) -> Iterator[None]:
    environment.client.validate_over_http(forged(environment.client.sign()))
    yield


@contextmanager
def replayed_session(environment: Environment) -> Iterator[None]:
    environment.client.replay_session(_REPLAYER)
    yield


@contextmanager
def login_from_blocked_address(environment: Environment) -> Iterator[None]:
    environment.client.log_in("nobody", BLOCKED_ADDRESS)
    yield


@contextmanager
def excessive_logins(environment: Environment) -> Iterator[None]:
    with repeated_calls(lambda: environment.client.log_in("nobody", _RATE_LIMITED), 20):
        yield


@contextmanager
def lost_audit_records(environment: Environment) -> Iterator[None]:
    def block() -> None:
        environment.client.administer("PUT", "/blocklist/203.0.113.99")

    with environment.client.fault("audit-lost"), repeated_calls(block, 5):
        yield


@contextmanager
def sealed_vault(environment: Environment) -> Iterator[None]:
    with httpx.Client(
        base_url=environment.service.vault_url,
        headers={"x-vault-token": environment.service.vault_token},
        trust_env=False,
    ) as vault:
        vault.put("/v1/sys/seal").raise_for_status()
        try:
            yield
        finally:
            vault.put("/v1/sys/unseal", json={"key": environment.service.vault_token}).raise_for_status()


# Certificates.


@contextmanager
def untrusted_certificates(environment: Environment) -> Iterator[None]:
    with repeated_calls(lambda: environment.client.verify_signature(UNTRUSTED_CERTIFICATE), 15):
        yield


def expiring_certificate(
    name: str, days_ago: int, days_left: int, extension: x509.ExtensionType = _TLS_SERVER
) -> Fault:
    """A certificate in the service's folder, whose extension determines its kind."""

    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        file = environment.certificates / f"{name}.pem"
        _certify(file, name, days_ago, days_left, extension)
        try:
            yield
        finally:
            _certify(file, name, 0, 365, extension)

    return inject


def _certify(file: Path, name: str, days_ago: int, days_left: int, extension: x509.ExtensionType) -> None:
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
        .add_extension(extension, critical=True)
        .sign(key, hashes.SHA256())
    )
    temporary = file.with_name(f".{name}.new")
    temporary.write_bytes(certificate.public_bytes(Encoding.PEM))
    temporary.replace(file)


def old_trust_list(name: str, days_old: int) -> Fault:
    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        environment.service.trust_lists.publish(name, age=timedelta(days=days_old))
        try:
            yield
        finally:
            environment.service.trust_lists.publish(name)

    return inject


@contextmanager
def forged_trust_list(environment: Environment) -> Iterator[None]:
    environment.service.trust_lists.publish(VICAL, signer=new_signer("Forger"))
    try:
        yield
    finally:
        environment.service.trust_lists.publish(VICAL)


@contextmanager
def unknown_certificate(environment: Environment) -> Iterator[None]:
    with environment.ct_feed.open("a") as feed:
        feed.write(f'{{"serial_number": "{secrets.token_hex(16)}", "common_name": "gateway.trust.test"}}\n')
    yield


@contextmanager
def signer_without_key(environment: Environment) -> Iterator[None]:
    with environment.client.fault("signer-broken"), repeated_calls(environment.client.sign, 2):
        yield


def undecided_request(hours: float) -> Fault:
    """A request to revoke a certificate that was received some hours ago."""

    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        client = environment.client
        request = client.enter_revocation(client.issue_certificate(), time.time() - hours * 3600)
        try:
            yield
        finally:
            client.reject_revocation(request)

    return inject


def unpublished_revocation(minutes: float) -> Fault:
    """A revocation that was decided some minutes ago, and that the next revocation lists do not contain."""

    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        client, decided_at = environment.client, time.time() - minutes * 60
        with client.fault("revocation-list-unpublished"):
            client.enter_revocation(client.issue_certificate(), decided_at - 60, decided_at)
            yield

    return inject


# Time.


def wrong_clock(seconds: float) -> Fault:
    """The time server says that the clock of the service is wrong."""

    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        server = environment.service.time_server
        server.offset = seconds
        try:
            yield
        finally:
            server.offset = 0

    return inject


# Business.


@contextmanager
def no_traffic(environment: Environment) -> Iterator[None]:
    environment.stop_traffic()
    try:
        yield
    finally:
        environment.start_traffic()


@contextmanager
def weak_signature(environment: Environment) -> Iterator[None]:
    # The service rejects the request; the alert is about this rejection.
    with suppress(grpc.RpcError):
        environment.client.sign("sha1")
    yield


# gRPC.


def grpc_fault(fault: str, *, stream: bool = False) -> Fault:
    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        caller = environment.archive_client
        call = caller.validate_stream if stream else caller.validate
        with caller.fault(fault), repeated_calls(call, 5, callers=4):
            yield

    return inject


# Databases.


@contextmanager
def stopped_database(environment: Environment) -> Iterator[None]:
    environment.primary.stop()
    try:
        yield
    finally:
        environment.primary.start()


@contextmanager
def locked_table(environment: Environment) -> Iterator[None]:
    def lock() -> None:
        with psycopg.connect(environment.primary.url) as connection:
            connection.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")
            time.sleep(0.8)

    # Readers ensure that some requests wait for the lock.
    with repeated_calls(lock, 4), repeated_calls(environment.client.rate_document, 5, _READERS):
        yield


@contextmanager
def paused_replica(environment: Environment) -> Iterator[None]:
    environment.standby.pause_replay()
    try:
        yield
    finally:
        environment.standby.resume_replay()


@contextmanager
def stopped_cache(environment: Environment) -> Iterator[None]:
    environment.redis.stop()
    try:
        yield
    finally:
        environment.redis.start()


# Infrastructure.


def node_condition(condition: str, status: str) -> Fault:
    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        node = environment.kubernetes.cluster.nodes[0]
        usual = node.conditions[condition]
        node.set_condition(condition, status)
        try:
            yield
        finally:
            node.set_condition(condition, usual)

    return inject


@contextmanager
def crashing_pod(environment: Environment) -> Iterator[None]:
    pod = environment.kubernetes.cluster.pods[1]
    pod.start_crash_loop(every=environment.seconds("3m"))
    try:
        yield
    finally:
        pod.recover()


@contextmanager
def container_near_memory_limit(environment: Environment) -> Iterator[None]:
    pod = environment.kubernetes.cluster.pods[1]
    usual = pod.working_set_bytes
    pod.working_set_bytes = int(pod.memory_limit_bytes * 0.95)
    try:
        yield
    finally:
        pod.working_set_bytes = usual


@contextmanager
def packet_errors(environment: Environment) -> Iterator[None]:
    pod = environment.kubernetes.cluster.pods[1]
    pod.received.fail(0.05)
    try:
        yield
    finally:
        pod.received.fail(0)


# Monitoring components.


def stopped_component(component: str) -> Fault:
    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        environment.stack.stop(component)
        try:
            yield
        finally:
            environment.stack.start(component)

    return inject


@contextmanager
def damaged_queue(environment: Environment) -> Iterator[None]:
    queue = environment.stack.directory / "collector" / "queue"
    environment.stack.stop("collector")
    for file in queue.glob("exporter_*"):
        file.write_bytes(bytes(file.stat().st_size))
    environment.stack.start("collector")
    try:
        yield
    finally:
        for damaged in queue.glob("*.damaged-*"):
            damaged.unlink()


@contextmanager
def cut_connection(environment: Environment) -> Iterator[None]:
    environment.proxy.cut()
    try:
        yield
    finally:
        environment.proxy.restore()


@contextmanager
def late_data(environment: Environment) -> Iterator[None]:
    _push(environment, {"late": 1.0}, time.time() - 86_400)
    yield


@contextmanager
def broken_rule(environment: Environment) -> Iterator[None]:
    def push() -> None:
        _push(environment, {"a": 1.0, "b": 1.0}, time.time())

    with repeated_calls(push, 2):
        yield
    _push(environment, {"a": 0.0, "b": 0.0}, time.time())


# Keys and HSM.


def hsm(fault: str, policy: str = "") -> Fault:
    """Another instance of the service, which signs with an HSM; `policy` is that of its key."""

    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        folder = environment.folder / f"hsm-{fault}"
        token = softhsm(folder, fault)
        (folder / "keys.toml").write_text(f"[key.{KEY}]\n{policy or 'max_uses_per_hour = 1000000'}\n")
        settings = {
            **plain_environment(),
            **telemetry_settings(environment.addresses, environment.factor),
            **token,
            "OTEL_SERVICE_NAME": SERVICE,
            "TRUST_OTEL_KEY_POLICY_FILE": str(folder / "keys.toml"),
        }
        with (folder / "client.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - a module of this package
                [
                    str(Path(sys.executable).with_name("opentelemetry-instrument")),
                    *(sys.executable, "-m", "testbed.drill.hsm_client", fault, fault),
                ],
                env=settings,
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
            with process:
                yield

    return inject


@contextmanager
def key_outside_hours(environment: Environment) -> Iterator[None]:
    yesterday = (datetime.now(timezone.utc) - timedelta(days=1)).strftime("%a").lower()
    with hsm("none", f'weekdays = ["{yesterday}"]')(environment):
        yield


@contextmanager
def clock_ahead(environment: Environment) -> Iterator[None]:
    # Another instance of a service that runs, so that the service does not count as down afterwards.
    instance = {
        "service.name": SERVICE,
        "service.instance.id": "clock-ahead",
        "deployment.environment.name": ENVIRONMENT,
    }

    def beat(value: float = 1) -> None:
        _export(environment, instance, "trust.otel.instance.up", [({}, value)], time.time() + _AHEAD_SECONDS)

    with repeated_calls(beat, 2):
        yield
    # As in the last export of a clean shutdown.
    beat(0)


@contextmanager
def unchecked_source(environment: Environment) -> Iterator[None]:
    instance = {"service.name": "drill", "service.instance.id": "unchecked-source"}
    source = {"trust.otel.source.kind": "reputation", "trust.otel.source.name": "blocklist"}
    checked = time.time()

    def export(read: float, up: float) -> None:
        _export(environment, instance, "trust.otel.source.last_read", [(source, read)], time.time(), "s")
        _export(environment, instance, "trust.otel.source.up", [(source, up)], time.time())

    with repeated_calls(lambda: export(checked, 1), 2):
        yield
    # Nobody exports the source any more; its last value would say for 5 minutes that it was read and is not checked.
    export(checked, 0)


def _push(environment: Environment, values: dict[str, float], at: float) -> None:
    """Export the gauge `drill_fault{part}` by OTLP."""
    points: list[tuple[dict[str, str], float]] = [({"part": part}, value) for part, value in values.items()]
    _export(environment, {"service.name": "drill"}, "drill_fault", points, at)


def _export(
    environment: Environment,
    resource: dict[str, str],
    gauge: str,
    points: list[tuple[dict[str, str], float]],
    at: float,
    unit: str = "",
) -> None:
    request = ExportMetricsServiceRequest()
    exported = request.resource_metrics.add()
    for key, text in resource.items():
        exported.resource.attributes.add(key=key).value.string_value = text
    metric = exported.scope_metrics.add().metrics.add(name=gauge, unit=unit)
    for attributes, value in points:
        point = metric.gauge.data_points.add(as_double=value, time_unix_nano=int(at * 1e9))
        for key, text in attributes.items():
            point.attributes.add(key=key).value.string_value = text
    httpx.post(
        f"{environment.addresses.otlp_http}/v1/metrics",
        content=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        trust_env=False,
    ).raise_for_status()


@contextmanager
def failing_receiver(environment: Environment) -> Iterator[None]:
    environment.receivers.fail("slack:business", status=404)
    try:
        with weak_signature(environment):
            yield
    finally:
        environment.receivers.restore("slack:business")


def gateway_command(command: str) -> Fault:
    @contextmanager
    def inject(environment: Environment) -> Iterator[None]:
        pipe = environment.gateway[0].stdin
        if pipe is not None:
            pipe.write(f"{command}\n".encode())
            pipe.flush()
        yield

    return inject


@contextmanager
def missing_certificate_folder(environment: Environment) -> Iterator[None]:
    hidden = environment.certificates.with_name("hidden")
    environment.certificates.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(environment.certificates)


@contextmanager
def invalid_feed(environment: Environment) -> Iterator[None]:
    usual = environment.feed.read_text()
    environment.feed.write_text("<html>Service unavailable</html>\n")
    try:
        yield
    finally:
        environment.feed.write_text(usual)
