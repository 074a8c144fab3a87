"""Services, agent, gateways and Prometheus: nobody gets in without certificate and token, and nothing is lost."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testbed.pipeline.credentials import Credentials
from testbed.pipeline.hops import Pipeline, pipeline
from tests.support.running import counter_request, eventually

_CONTENT_TYPE = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with pipeline(tmp_path_factory.mktemp("pipeline")) as found:
        yield found


def _listeners(pipeline: Pipeline) -> dict[str, str]:
    programs = (pipeline.agent, *pipeline.gateways, pipeline.prometheus)
    return {f"{program.name} {name}": each for program in programs for name, each in program.endpoints.items()}


def _send(running: Pipeline, content: bytes) -> int:
    token = {"authorization": f"Bearer {running.credentials.token('services')}"}
    url = f"https://{running.agent.endpoints['HTTP']}/v1/metrics"
    return running.client.post(url, content=content, headers=_CONTENT_TYPE | token).status_code


def _values(running: Pipeline, name: str) -> dict[str, float]:
    return {labels["number"]: value for labels, value in running.query(name)}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_service_reaches_the_agent_with_the_documented_variables(running: Pipeline, protocol: str) -> None:
    listener = "GRPC" if protocol == "grpc" else "HTTP"
    tls = running.credentials.tls
    name = f"documented_{listener}".lower()
    environment = {
        **os.environ,
        "OTEL_SERVICE_NAME": "documented",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://{running.agent.endpoints[listener]}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tls / "ca.crt"),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(tls / "tls.crt"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tls / "tls.key"),
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{running.credentials.token('services')}",
    }
    counter = f"get_meter('x').create_counter('{name}')"
    program = f"from opentelemetry.metrics import get_meter; {counter}.add(3, {{'number': '1'}})"
    instrument = Path(sys.executable).parent / "opentelemetry-instrument"
    command = [str(instrument), sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    eventually(lambda: _values(running, f"{name}_total"), {"1": 3.0})


def test_a_data_point_arrives_exactly(running: Pipeline) -> None:
    assert _send(running, counter_request("exact", {"number": "1"}, value=7).SerializeToString()) == 200
    eventually(lambda: _values(running, "exact_total"), {"1": 7.0})


@pytest.mark.parametrize(
    "value",
    [
        "mail to someone@example.org",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "Bearer 0123456789abcdef",
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_what_must_not_leave_the_node_is_masked(running: Pipeline, value: str) -> None:
    name = f"masked_{abs(hash(value))}"
    assert _send(running, counter_request(name, {"number": "1", "text": value}).SerializeToString()) == 200
    eventually(lambda: len(running.query(f"{name}_total")), 1)
    ((labels, _),) = running.query(f"{name}_total")
    assert value not in labels["text"]
    assert "****" in labels["text"]


def test_a_bad_data_point_takes_nothing_of_another_sender_with_it(running: Pipeline) -> None:
    old = counter_request("refused", {"number": "old"}, timestamp=time.time() - 30 * 86400)
    good = counter_request("kept", {"number": "good"})
    for request in (old, good, old):
        assert _send(running, request.SerializeToString()) == 200
    eventually(lambda: _values(running, "kept_total"), {"good": 1.0})
    assert _values(running, "refused_total") == {}


def _plain(address: str) -> int | None:
    """The status of a request without TLS; None if there is none."""
    try:
        return httpx.get(f"http://{address}/", trust_env=False).status_code
    except httpx.TransportError:
        return None


def test_no_listener_answers_without_tls(running: Pipeline) -> None:
    # Go's server says "client sent an HTTP request to an HTTPS server" with status 400.
    assert {name for name, address in _listeners(running).items() if _plain(address) not in (None, 400)} == set()


def _answers(address: str, context: ssl.SSLContext) -> bool:
    with httpx.Client(verify=context, trust_env=False) as client:
        try:
            return client.get(f"https://{address}/metrics").status_code not in (401, 403)
        except httpx.TransportError:
            return False


def test_without_certificate_and_token_only_the_health_checks_answer(running: Pipeline, tmp_path: Path) -> None:
    anonymous = ssl.create_default_context(cafile=running.credentials.tls / "ca.crt")
    stranger = ssl.create_default_context(cafile=running.credentials.tls / "ca.crt")
    foreign = Credentials(tmp_path)
    stranger.load_cert_chain(foreign.tls / "tls.crt", foreign.tls / "tls.key")
    for context in (anonymous, stranger):
        found = {name for name, address in _listeners(running).items() if _answers(address, context)}
        assert found == {f"{program.name} HEALTH" for program in (running.agent, *running.gateways)}


@pytest.mark.parametrize("token", [None, "wrong", "agents", "metrics"])
def test_a_certificate_without_the_right_token_is_refused(running: Pipeline, token: str | None) -> None:
    known = token in ("agents", "metrics")
    text = running.credentials.token(str(token)) if known else token
    headers = {} if text is None else {"authorization": f"Bearer {text}"}
    content = counter_request("intruder", {"number": "1"}).SerializeToString()
    url = f"https://{running.agent.endpoints['HTTP']}/v1/metrics"
    assert running.client.post(url, content=content, headers=_CONTENT_TYPE | headers).status_code == 401


def test_the_collectors_own_metrics_need_their_token(running: Pipeline) -> None:
    for program in (running.agent, *running.gateways):
        url = f"https://{program.endpoints['METRICS']}/metrics"
        assert running.client.get(url).status_code == 401
        headers = {"authorization": f"Bearer {running.credentials.token('metrics')}"}
        eventually(lambda: "otelcol_exporter_queue_size" in running.client.get(url, headers=headers).text, True)  # noqa: B023


def test_no_token_is_in_a_log_or_an_argument(running: Pipeline) -> None:
    secrets = [path.read_text() for path in running.credentials.tokens.iterdir()]
    for program in (running.agent, *running.gateways, running.prometheus):
        shown = program.log.read_text() + " ".join(program.command)
        assert [each for each in secrets if each in shown] == []


def test_faults_of_every_hop_lose_and_double_nothing(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "testbed.pipeline", "--for", "4", "--rate", "2000", "--report", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(report.read_text())
    assert len(results) >= 6
    assert [each for each in results if each["arrived"] != each["sent"] or each["sent"] < 4000] == []
