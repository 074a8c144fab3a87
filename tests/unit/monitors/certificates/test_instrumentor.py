"""CertificateInstrumentor: metrics for files and servers."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.ocsp import load_der_ocsp_request

from tests.unit.monitors.certificates.authority import DAY, NOW, Authority, der, key_pem, pem, write
from tests.unit.monitors.waiting import eventually
from trust_otel.instrumentation.cryptography import CryptographyInstrumentor
from trust_otel.monitors.certificates import CertificateInstrumentor, SourceReport, check_sources
from trust_otel.settings import Settings

NOT_AFTER = "trust.certificate.not_after"
UP = "trust.otel.source.up"


@pytest.fixture
def start(recording: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Starts the instrumentor with the settings, and waits for its first snapshot."""
    instrumentor = CertificateInstrumentor()

    def make(*sources: object, interval: float = 0.02) -> Any:
        monkeypatch.setenv("TRUST_OTEL_CERTIFICATES", ",".join(str(source) for source in sources))
        monkeypatch.setenv("TRUST_OTEL_CERTIFICATE_INTERVAL", str(interval))
        instrumentor.instrument(metrics=recording.metrics)
        eventually(lambda: recording.labels(UP))
        return instrumentor

    yield make
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def shown(recording: Any, metric: str = NOT_AFTER) -> dict[str, float]:
    return {labels["trust.certificate.name"]: point.value for labels, point in recording.series(metric)}


def test_metrics_follow_the_files(start: Any, recording: Any, authority: Authority, tmp_path: Path) -> None:
    leaf, _ = authority.issue(days=10)
    write(tmp_path / "ca.pem", pem(authority.certificate))
    write(tmp_path / "a.pem", pem(leaf))
    start(tmp_path)
    assert shown(recording).keys() == {"a", "ca"}
    assert shown(recording)["a"] == (NOW + 10 * DAY).timestamp()
    assert shown(recording, "trust.certificate.not_before")["a"] == (NOW - DAY).timestamp()
    assert {labels["trust.certificate.type"] for labels in recording.labels(NOT_AFTER)} == {"ca", "tls_server"}
    assert {
        (labels["trust.certificate.name"], labels["trust.certificate.kind"], labels["trust.certificate.chain.position"])
        for labels in recording.labels("trust.certificate.lead_time")
    } == {("ca", "root", "root"), ("a", "tls", "end_entity")}
    assert recording.value("trust.certificate.inventory", {"trust.certificate.status": "valid"}) == 2
    assert recording.value(UP, {"trust.otel.source.name": str(tmp_path)}) == 1

    write(tmp_path / "list.crl", pem(authority.revocation_list(leaf)))
    eventually(lambda: recording.value("trust.certificate.inventory", {"trust.certificate.status": "revoked"}) == 1)
    ((labels, point),) = recording.series("trust.certificate.crl.next_update")
    assert (labels, point.value) == ({"trust.certificate.crl.name": "list"}, (NOW + DAY).timestamp())

    (tmp_path / "list.crl").unlink()
    (tmp_path / "a.pem").rename(tmp_path / "renamed.pem")
    eventually(lambda: shown(recording).keys() == {"renamed", "ca"})
    assert recording.series("trust.certificate.crl.next_update") == []
    assert recording.dropped() == {}


def test_unusual_dates_are_shown(start: Any, recording: Any, authority: Authority, tmp_path: Path) -> None:
    dates = {"past": (1950, 1969), "long": (1970, 2051), "endless": (2020, 9999)}
    for name, (begin, end) in dates.items():
        leaf, _ = authority.issue(
            begin=datetime(begin, 1, 1, tzinfo=timezone.utc), end=datetime(end, 12, 31, tzinfo=timezone.utc)
        )
        write(tmp_path / f"{name}.pem", pem(leaf))
    backwards = der(leaf).replace(b"200101000000Z", b"490101000000Z").replace(b"99991231", b"20201231")
    write(tmp_path / "backwards.der", backwards)
    write(tmp_path / "year0.der", der(leaf).replace(b"99991231", b"00001231"))
    write(tmp_path / "year1.der", der(leaf).replace(b"99991231", b"00011231"))
    start(tmp_path)
    assert shown(recording) == {
        "past": datetime(1969, 12, 31, tzinfo=timezone.utc).timestamp(),
        "long": datetime(2051, 12, 31, tzinfo=timezone.utc).timestamp(),
        "endless": datetime(9999, 12, 31, tzinfo=timezone.utc).timestamp(),
        "backwards": datetime(2020, 12, 31, tzinfo=timezone.utc).timestamp(),
        "year1": datetime(1, 12, 31, tzinfo=timezone.utc).timestamp(),
    }
    inventory = {
        labels["trust.certificate.status"]: point.value
        for labels, point in recording.series("trust.certificate.inventory")
    }
    assert inventory == {"valid": 2, "expiring": 0, "expired": 3, "revoked": 0}
    (report,) = check_sources(Settings.from_environment({"TRUST_OTEL_CERTIFICATES": str(tmp_path)}))
    assert report.problem == (
        f"{tmp_path}/year0.der: contains an invalid certificate or revocation list; it may be half written"
    )


def test_ignored_files_are_logged_once(
    start: Any, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    leaf, key = authority.issue()
    write(tmp_path / "a.pem", pem(leaf))
    write(tmp_path / "a.key", key_pem(key))
    start(tmp_path)
    write(tmp_path / "README", b"text")
    eventually(lambda: "README" in caplog.text)
    begin = f"trust-otel: certificates {tmp_path}: ignored "
    assert [record.getMessage().removeprefix(begin) for record in caplog.records if begin in record.getMessage()] == [
        f"{tmp_path}/a.key: a private key",
        f"{tmp_path}/README: no certificate; {tmp_path}/a.key: a private key",
    ]


def test_ocsp_responses_are_counted_from_0(
    start: Any, recording: Any, authority: Authority, web_server: Any, tmp_path: Path
) -> None:
    responses = "trust.certificate.ocsp.responses"
    file = write(tmp_path / "both.pem", pem(authority.issue()[0], authority.certificate))
    server = web_server(lambda request: (200, {}, authority.answer(request.body)))
    start(file, f"x=ocsp+{server.url}")
    eventually(lambda: recording.value(responses, {"trust.certificate.ocsp.status": "good"}) >= 2)
    assert {
        labels["trust.certificate.ocsp.status"]: point.value > 0 for labels, point in recording.series(responses)
    } == {
        "good": True,
        "revoked": False,
        "unknown": False,
        "error": False,
    }


def test_age_of_ocsp_responses_is_that_of_the_oldest_and_outlives_a_failure(
    start: Any, recording: Any, authority: Authority, web_server: Any, tmp_path: Path
) -> None:
    prefix = "trust.certificate.ocsp"
    old, new = authority.issue("old")[0], authority.issue("new")[0]
    file = write(tmp_path / "all.pem", pem(old, new, authority.certificate))
    failing = threading.Event()

    def answer(request: Any) -> Any:
        if failing.is_set():
            return 503, {}, b""
        is_old = load_der_ocsp_request(request.body).serial_number == old.serial_number
        validity: dict[str, Any] = {"this_update": NOW - DAY} if is_old else {"next_update": NOW + DAY / 2}
        return 200, {}, authority.answer(request.body, **validity)

    started = start(file, f"x=ocsp+{web_server(answer).url}")
    eventually(lambda: recording.series(f"{prefix}.this_update"))
    failing.set()
    eventually(lambda: recording.value(f"{prefix}.request.duration", {f"{prefix}.status": "error"}))
    assert recording.value(f"{prefix}.request.duration", {f"{prefix}.status": "good"}) >= 2
    for name, moment in (("this_update", NOW - DAY), ("next_update", NOW + DAY / 2)):
        ((labels, point),) = recording.series(f"{prefix}.{name}")
        assert (labels, point.value) == ({f"{prefix}.responder": "x"}, moment.timestamp())
    started.uninstrument()
    assert recording.series(f"{prefix}.this_update") == recording.series(f"{prefix}.next_update") == []


def test_problem_is_logged_once_and_resolved(
    start: Any, recording: Any, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.pem"
    start(f"a={file}")
    eventually(lambda: recording.dropped().get("unreadable_source", 0) >= 3)
    assert recording.value(UP) == 0
    assert recording.series("trust.otel.source.last_read") == []
    write(tmp_path / "new", pem(authority.certificate)).rename(file)
    eventually(lambda: recording.value(UP) == 1)
    assert shown(recording).keys() == {"a"}
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.message == "trust-otel: certificates a: No such file or directory"


def test_uninstrument_removes_series_and_threads(
    start: Any, recording: Any, authority: Authority, web_server: Any, tmp_path: Path
) -> None:
    write(tmp_path / "a.pem", pem(authority.certificate))
    server = web_server(der(authority.revocation_list()))
    start(tmp_path, f"crl+{server.url}/a.crl").uninstrument()
    for metric in (NOT_AFTER, "trust.certificate.not_before", "trust.certificate.crl.next_update", UP):
        assert recording.series(metric) == []
    assert recording.value("trust.certificate.inventory") == 0
    assert [thread for thread in threading.enumerate() if thread.name.startswith("trust-otel-certificate")] == []


def test_poll_in_progress_records_nothing_after_uninstrument(
    recording: Any, authority: Authority, listen: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reached = threading.Event()
    monkeypatch.setattr("trust_otel.monitors.certificates._STOP_SECONDS", 0.01)
    monkeypatch.setattr("trust_otel.monitors.certificates.endpoints.TIMEOUT", 0.5)
    port = listen(lambda connection: reached.set()).port
    file = write(tmp_path / "a.pem", pem(authority.certificate))
    monkeypatch.setenv("TRUST_OTEL_CERTIFICATES", f"{file},tls://127.0.0.1:{port}")
    instrumentor = CertificateInstrumentor()
    instrumentor.instrument(metrics=recording.metrics)
    assert reached.wait(5)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("trust-otel-certificate")]
    instrumentor.uninstrument()
    assert threads
    for thread in threads:
        thread.join(5)
    assert recording.series(NOT_AFTER) == recording.series(UP) == []


def test_certificates_beyond_the_limit_share_a_series(
    start: Any, recording: Any, authority: Authority, tmp_path: Path
) -> None:
    data = pem(authority.certificate)
    for number in range(600):
        write(tmp_path / f"{number}.pem", data)
    start(tmp_path, interval=60)
    assert len(recording.series(NOT_AFTER)) == 501
    assert recording.value("trust.certificate.inventory") == 600
    assert recording.overflowed()[NOT_AFTER] >= 100


def test_checks_are_not_recorded_as_operations_of_the_service(
    start: Any, recording: Any, authority: Authority, web_server: Any, tmp_path: Path
) -> None:
    leaf, _ = authority.issue()
    server = web_server(lambda request: (200, {}, authority.answer(request.body)))
    write(tmp_path / "both.pem", pem(leaf, authority.certificate), pem(authority.revocation_list(leaf)))
    cryptography = CryptographyInstrumentor()
    cryptography.instrument(metrics=recording.metrics)
    try:
        # Only validations: the signature of the test responder is recorded as an operation.
        start(tmp_path, f"ocsp+{server.url}")
        eventually(lambda: recording.value("trust.certificate.ocsp.responses") > 0)
        validations = {"trust.certificate.operation": "validation"}
        assert recording.series("trust.certificate.operation.duration", validations) == []
    finally:
        cryptography.uninstrument()


def test_missing_cryptography_is_one_problem(
    recording: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setenv("TRUST_OTEL_CERTIFICATES", "/a.pem,/b.pem")
    instrumentor = CertificateInstrumentor()
    instrumentor.instrument(metrics=recording.metrics)
    (record,) = caplog.records
    assert "pip install 'trust-otel[certificates]'" in record.message
    assert recording.labels(UP) == [
        {"trust.otel.source.kind": "certificates", "trust.otel.source.name": "TRUST_OTEL_CERTIFICATES"}
    ]
    instrumentor.uninstrument()
    assert recording.series(UP) == []
    (report,) = check_sources(Settings.from_environment({"TRUST_OTEL_CERTIFICATES": "/a.pem,/b.pem"}))
    assert "pip install" in (report.problem or "")


def test_old_cryptography_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptography.__version__", "44.0.3")
    (report,) = check_sources(Settings.from_environment({"TRUST_OTEL_CERTIFICATES": "/a.pem"}))
    assert "45 or later" in (report.problem or "")


def test_check_sources_keeps_the_order_of_the_setting(authority: Authority, web_server: Any, tmp_path: Path) -> None:
    leaf, _ = authority.issue(days=3)
    file = write(tmp_path / "a.pem", pem(leaf, authority.certificate))
    server = web_server(lambda request: (200, {}, authority.answer(request.body)))
    sources = f"x=ocsp+{server.url},/none.pem,tls={file}"
    assert check_sources(Settings.from_environment({"TRUST_OTEL_CERTIFICATES": sources})) == [
        SourceReport("x", None),
        SourceReport("/none.pem", "No such file or directory"),
        SourceReport("tls", None, 2, (NOW + 3 * DAY).timestamp()),
    ]


def test_forked_child_polls_as_well(start: Any, recording: Any, authority: Authority, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(authority.certificate))
    start(tmp_path)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            write(tmp_path / "b.pem", pem(authority.certificate))
            eventually(lambda: shown(recording).keys() == {"a", "b"})
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
