"""The faults that can be started in the service, and how they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, cast, get_args

import grpc
import httpx
import pytest
from cryptography import x509
from trust_service.faults import Fault
from trust_service.rpc import trust_pb2_grpc
from trust_service.rpc.trust_pb2 import ValidateRequest

from examples.demo.service import TrustService
from testbed.load_generator.samples import UNTRUSTED_CERTIFICATE
from testbed.load_generator.timestamps import failure_of, timestamp_query

Administer = Callable[..., httpx.Response]


@pytest.fixture
def administer(service: TrustService, client: httpx.Client) -> Administer:
    def send(method: str, path: str, body: object = None) -> httpx.Response:
        answer = client.request(
            method, f"/admin{path}", headers={"authorization": f"Bearer {service.admin_token}"}, json=body
        )
        assert answer.is_success, answer.text
        return answer

    return send


@pytest.fixture
def start_fault(administer: Administer) -> Iterator[Callable[[str], None]]:
    """Start a fault, and stop it at the end of the test."""
    started: list[str] = []

    def start(fault: str) -> None:
        administer("POST", f"/faults/{fault}", {"seconds": 60})
        started.append(fault)

    yield start
    for fault in started:
        administer("DELETE", f"/faults/{fault}")


@pytest.fixture
def validate(service: TrustService, administer: Administer) -> Iterator[Callable[[], grpc.StatusCode]]:
    """Call Validate over gRPC and return the status code."""
    token = administer("PUT", "/machines/gate", {"role": "verifier", "country": "DE"}).json()["token"]
    with grpc.insecure_channel(service.grpc_target) as channel:

        def call() -> grpc.StatusCode:
            request = ValidateRequest(certificate=UNTRUSTED_CERTIFICATE, certificate_type="tls_server")
            metadata = (("authorization", f"Bearer {token}"),)
            try:
                cast(Any, trust_pb2_grpc).TrustServiceStub(channel).Validate(request, metadata=metadata)
            except grpc.RpcError as error:
                return error.code()
            return grpc.StatusCode.OK

        yield call


# The server closes a connection after an error response, so it must not be reused.
_CLOSE = {"connection": "close"}


def test_every_fault_can_be_started_and_stopped(administer: Administer) -> None:
    for fault in get_args(Fault):
        administer("POST", f"/faults/{fault}", {"seconds": 60})
        administer("DELETE", f"/faults/{fault}")
        administer("DELETE", f"/faults/{fault}")


def test_broken_answers_fail_requests_but_not_the_health_check(
    client: httpx.Client, start_fault: Callable[[str], None]
) -> None:
    start_fault("answers-broken")
    assert client.get("/documents/prices", headers=_CLOSE).status_code == 500
    assert client.get("/healthz").status_code == 200


def test_a_fault_expires(client: httpx.Client, administer: Administer) -> None:
    administer("POST", "/faults/answers-broken", {"seconds": 0.2})
    assert client.get("/documents/prices", headers=_CLOSE).status_code == 500
    time.sleep(0.4)
    assert client.get("/documents/prices", headers=_CLOSE).status_code == 200


def test_a_fault_started_twice_is_extended_and_stopped_once(client: httpx.Client, administer: Administer) -> None:
    administer("POST", "/faults/answers-broken", {"seconds": 0.2})
    administer("POST", "/faults/answers-broken", {"seconds": 60})
    time.sleep(0.4)
    assert client.get("/documents/prices", headers=_CLOSE).status_code == 500
    administer("DELETE", "/faults/answers-broken")
    assert client.get("/documents/prices", headers=_CLOSE).status_code == 200


def test_broken_calls_fail_grpc_requests(
    validate: Callable[[], grpc.StatusCode], start_fault: Callable[[str], None]
) -> None:
    assert validate() is grpc.StatusCode.OK
    start_fault("calls-broken")
    assert validate() is grpc.StatusCode.UNKNOWN


def test_an_unreachable_authority_serves_no_revocation_list(
    client: httpx.Client, start_fault: Callable[[str], None]
) -> None:
    start_fault("pki-unreachable")
    assert client.get("/pki/issuing-ca.crl").status_code == 503


def test_a_stale_revocation_list_is_past_its_next_update(
    client: httpx.Client, start_fault: Callable[[str], None]
) -> None:
    start_fault("revocation-list-stale")
    revocations = x509.load_der_x509_crl(client.get("/pki/issuing-ca.crl").content)
    assert revocations.next_update_utc is not None
    assert revocations.next_update_utc < datetime.now(timezone.utc)


def test_the_timestamping_authority_says_that_its_key_cannot_be_used(
    client: httpx.Client, start_fault: Callable[[str], None]
) -> None:
    start_fault("timestamping-broken")
    headers = {"content-type": "application/timestamp-query"}
    response = client.post("/timestamps", content=timestamp_query(b"x"), headers=headers)
    assert failure_of(response.content) == "systemFailure"
