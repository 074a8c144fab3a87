"""What the service lets go wrong when it is told to, and that it puts it right again."""

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
def suffer(administer: Administer) -> Iterator[Callable[[str], None]]:
    """Begin a fault, and lift it at the end of the test."""
    begun: list[str] = []

    def begin(fault: str) -> None:
        administer("POST", f"/faults/{fault}", {"seconds": 60})
        begun.append(fault)

    yield begin
    for fault in begun:
        administer("DELETE", f"/faults/{fault}")


@pytest.fixture
def machine(service: TrustService, administer: Administer) -> Iterator[Callable[[], grpc.StatusCode]]:
    """The status of a call that validates a certificate."""
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


# Not kept alive: the server closes what it has answered with an error.
_ALONE = {"connection": "close"}


def test_every_fault_can_begin_and_be_lifted(administer: Administer) -> None:
    for fault in get_args(Fault):
        administer("POST", f"/faults/{fault}", {"seconds": 60})
        administer("DELETE", f"/faults/{fault}")
        administer("DELETE", f"/faults/{fault}")


def test_broken_answers_fail_people_and_spare_the_health_check(
    client: httpx.Client, suffer: Callable[[str], None]
) -> None:
    suffer("answers-broken")
    assert client.get("/documents/prices", headers=_ALONE).status_code == 500
    assert client.get("/healthz").status_code == 200


def test_a_fault_ends_by_itself(client: httpx.Client, administer: Administer) -> None:
    administer("POST", "/faults/answers-broken", {"seconds": 0.2})
    assert client.get("/documents/prices", headers=_ALONE).status_code == 500
    time.sleep(0.4)
    assert client.get("/documents/prices", headers=_ALONE).status_code == 200


def test_a_fault_that_is_begun_again_goes_on_for_longer_and_leaves_nothing_behind(
    client: httpx.Client, administer: Administer
) -> None:
    administer("POST", "/faults/answers-broken", {"seconds": 0.2})
    administer("POST", "/faults/answers-broken", {"seconds": 60})
    time.sleep(0.4)
    assert client.get("/documents/prices", headers=_ALONE).status_code == 500
    administer("DELETE", "/faults/answers-broken")
    assert client.get("/documents/prices", headers=_ALONE).status_code == 200


def test_broken_calls_fail_machines(machine: Callable[[], grpc.StatusCode], suffer: Callable[[str], None]) -> None:
    assert machine() is grpc.StatusCode.OK
    suffer("calls-broken")
    assert machine() is grpc.StatusCode.UNKNOWN


def test_an_unreachable_authority_gives_no_revocation_list(client: httpx.Client, suffer: Callable[[str], None]) -> None:
    suffer("pki-unreachable")
    assert client.get("/pki/issuing-ca.crl").status_code == 503


def test_a_stale_revocation_list_is_past_its_promise(client: httpx.Client, suffer: Callable[[str], None]) -> None:
    suffer("revocation-list-stale")
    revocations = x509.load_der_x509_crl(client.get("/pki/issuing-ca.crl").content)
    assert revocations.next_update_utc is not None
    assert revocations.next_update_utc < datetime.now(timezone.utc)
