"""Revocation, OCSP and timestamps over HTTP, as relying parties and OpenSSL see them."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from examples.demo.service import TrustService
from testbed.load_generator.samples import CERTIFICATE_REQUEST
from testbed.load_generator.timestamps import timestamp_query
from tests.integration.example.conftest import bearer
from tests.support.running import eventually

_QUERY = {"content-type": "application/timestamp-query"}


@pytest.fixture
def send(
    client: httpx.Client, create: Callable[..., object], log_in: Callable[..., httpx.Response]
) -> Callable[..., httpx.Response]:
    """Send a request as a person with a role."""

    def send(method: str, path: str, body: object = None, role: str = "operator") -> httpx.Response:
        create(f"of-{role}", role)
        token = bearer(log_in(f"of-{role}", address="192.0.2.9"))
        return client.request(method, path, headers=token, json=body)

    return send


@pytest.fixture
def certificate(send: Callable[..., httpx.Response]) -> x509.Certificate:
    order = {"request": CERTIFICATE_REQUEST, "certificate_type": "tls_client", "validity_seconds": 86_400}
    return x509.load_pem_x509_certificate(send("POST", "/certificates", order).json()["certificate"].encode())


@pytest.fixture
def status(client: httpx.Client, certificate: x509.Certificate) -> Callable[[], ocsp.OCSPCertStatus]:
    """The status of the certificate at the OCSP responder, which a GET request asks."""
    chain = x509.load_pem_x509_certificates(client.get("/certificates/authority").content)
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, chain[0], hashes.SHA1()).build()
    encoded = quote(base64.b64encode(request.public_bytes(Encoding.DER)), safe="")

    def ask() -> ocsp.OCSPCertStatus:
        response = client.get(f"/pki/ocsp/{encoded}")
        assert response.headers["content-type"] == "application/ocsp-response"
        return ocsp.load_der_ocsp_response(response.content).certificate_status

    return ask


def test_a_request_of_a_clerk_is_decided_by_an_operator_and_published(
    send: Callable[..., httpx.Response],
    certificate: x509.Certificate,
    status: Callable[[], ocsp.OCSPCertStatus],
) -> None:
    path = f"/certificates/{certificate.serial_number}/revocation-requests"
    requested = send("POST", path, {"reason": "keyCompromise"}, role="clerk")
    assert requested.status_code == 202
    decision = f"/certificates/revocation-requests/{requested.json()['id']}/decision"
    assert send("POST", decision, {"approved": True}, role="clerk").status_code == 403
    decided = send("POST", decision, {"approved": True}).json()
    assert (decided["approved"], decided["reason"]) == (True, "keyCompromise")
    assert decided["requested_at"] <= decided["decided_at"] <= time.time()
    assert send("POST", decision, {"approved": False}).status_code == 409
    eventually(status, ocsp.OCSPCertStatus.REVOKED)


def test_a_rejected_request_leaves_the_certificate_as_it_is(
    send: Callable[..., httpx.Response], certificate: x509.Certificate
) -> None:
    path = f"/certificates/{certificate.serial_number}"
    requested = send("POST", f"{path}/revocation-requests", {"reason": "superseded"}, role="clerk").json()
    decision = f"/certificates/revocation-requests/{requested['id']}/decision"
    assert send("POST", decision, {"approved": False}).json()["approved"] is False
    assert send("GET", path).json()["revoked"] is False


def test_a_suspended_certificate_is_good_again_after_unsuspension(
    send: Callable[..., httpx.Response],
    certificate: x509.Certificate,
    status: Callable[[], ocsp.OCSPCertStatus],
) -> None:
    path = f"/certificates/{certificate.serial_number}"
    assert send("POST", f"{path}/suspend").json()["suspended"] is True
    eventually(status, ocsp.OCSPCertStatus.REVOKED)
    assert send("POST", f"{path}/unsuspend").json()["suspended"] is False
    eventually(status, ocsp.OCSPCertStatus.GOOD)
    assert send("POST", f"{path}/unsuspend").json() == {"detail": "not_suspended"}


def test_a_request_that_arrived_earlier_is_entered_with_its_times(
    service: TrustService,
    client: httpx.Client,
    certificate: x509.Certificate,
    status: Callable[[], ocsp.OCSPCertStatus],
) -> None:
    yesterday = time.time() - 86_400
    entered = client.post(
        "/admin/revocation-requests",
        headers={"authorization": f"Bearer {service.admin_token}"},
        json={
            "serial_number": str(certificate.serial_number),
            "requested_at": yesterday,
            "decided_at": yesterday + 60,
        },
    ).json()
    assert (entered["requested_at"], entered["decided_at"]) == (yesterday, yesterday + 60)
    eventually(status, ocsp.OCSPCertStatus.REVOKED)


@pytest.mark.parametrize("encoded", ["AAAA", "no-base64!"])
def test_a_get_request_that_is_no_ocsp_request_is_rejected(client: httpx.Client, encoded: str) -> None:
    assert client.get(f"/pki/ocsp/{encoded}").status_code == 400


def test_openssl_verifies_a_timestamp(client: httpx.Client, tmp_path: Path) -> None:
    data, query, response = (tmp_path / name for name in ("data", "query.tsq", "response.tsr"))
    data.write_bytes(b"a contract")
    _openssl("-query", "-data", str(data), "-sha256", "-cert", "-out", str(query))
    answer = client.post("/timestamps", content=query.read_bytes(), headers=_QUERY)
    assert answer.headers["content-type"] == "application/timestamp-reply"
    response.write_bytes(answer.content)
    issuing, root = x509.load_pem_x509_certificates(client.get("/certificates/authority").content)
    for name, each in (("issuing.pem", issuing), ("root.pem", root)):
        (tmp_path / name).write_bytes(each.public_bytes(Encoding.PEM))
    trusted = ("-CAfile", str(tmp_path / "root.pem"), "-untrusted", str(tmp_path / "issuing.pem"))
    assert "Verification: OK" in _openssl("-verify", "-in", str(response), "-queryfile", str(query), *trusted)
    data.write_bytes(b"another contract")
    with pytest.raises(subprocess.CalledProcessError):
        _openssl("-verify", "-in", str(response), "-data", str(data), *trusted)


def test_a_refusal_is_a_response_that_openssl_reads(client: httpx.Client, tmp_path: Path) -> None:
    answer = client.post("/timestamps", content=timestamp_query(b"x", algorithm="sha1"), headers=_QUERY)
    assert answer.status_code == 200
    (tmp_path / "response.tsr").write_bytes(answer.content)
    shown = _openssl("-reply", "-in", str(tmp_path / "response.tsr"), "-text")
    assert "unrecognized or unsupported algorithm identifier" in shown


def test_only_timestamp_queries_of_a_reasonable_size_are_read(client: httpx.Client) -> None:
    assert client.post("/timestamps", json={}).status_code == 415
    assert client.post("/timestamps", content=bytes(20_000), headers=_QUERY).status_code == 413


def _openssl(*arguments: str) -> str:
    command = ["openssl", "ts", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
