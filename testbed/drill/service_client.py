"""HTTP and gRPC client of one example service, for users, machines, attackers and the administrator."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

import grpc
import httpx

from examples.demo.service import TrustService
from testbed.load_generator import trust_pb2 as messages
from testbed.load_generator.samples import CERTIFICATE_REQUEST

_PASSWORD = "correct horse battery staple"  # noqa: S105 - of an account used for one drill
_OPERATOR_ADDRESS = "192.0.2.6"
_TIMEOUT_SECONDS = 10
_STOP_SECONDS = 15


@contextmanager
def repeated_calls(call: Callable[[], object], per_second: float, callers: int = 1) -> Iterator[None]:
    """While the block is open, `callers` threads make `per_second` calls each. Failures are ignored."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(1 / per_second):
            with suppress(httpx.HTTPError, grpc.RpcError):
                call()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join(_STOP_SECONDS)


class ServiceClient:
    """Calls one service, while the block is open."""

    def __init__(self, service: TrustService) -> None:
        self._service = service
        self._channel = grpc.insecure_channel(service.grpc_target, options=[("grpc.enable_http_proxy", 0)])
        # Without keep-alive for single calls: the service closes a connection after an error.
        self._client = _client(service, kept=0)
        self._pooled = _client(service, kept=100)
        self._machine, self._certificate = "", ""

    def __enter__(self) -> ServiceClient:
        response = self.administer("PUT", "/machines/drill", {"role": "signer", "country": "DE"})
        self._machine = response.json()["token"]
        self._certificate = self.sign()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        self._client.close()
        self._pooled.close()

    def administer(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Call the admin API. Raises httpx.HTTPStatusError on an error status."""
        headers = {"authorization": f"Bearer {self._service.admin_token}"}
        return self._client.request(method, f"/admin{path}", headers=headers, json=body).raise_for_status()

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Inject a fault into the service while the block is open."""
        self.administer("POST", f"/faults/{name}", {"seconds": 300})
        try:
            yield
        finally:
            self.administer("DELETE", f"/faults/{name}")

    def get_prices(self) -> None:
        """The cheapest request of the service."""
        self._pooled.get("/documents/prices")

    def rate_document(self) -> None:
        """Rate the first document, which the service reads from its database."""
        self._pooled.post("/documents/1/feedback", json={"score": 4})

    def log_in(self, name: str, address: str, password: str = _PASSWORD) -> httpx.Response:
        """Log in from a client address."""
        credentials = {"name": name, "password": password}
        return self._client.post("/login", json=credentials, headers={"x-forwarded-for": address})

    def get_profile(self, token: str, address: str) -> None:
        """Request something with a session token."""
        headers = {"authorization": f"Bearer {token}", "x-forwarded-for": address}
        self._client.get("/me", headers=headers)

    def try_invented_token(self, address: str) -> None:
        """Request something with a random session token."""
        self.get_profile(secrets.token_urlsafe(), address)

    def replay_session(self, address: str) -> None:
        """Use a session token after logout."""
        account = {"password": _PASSWORD, "role": "clerk", "country": "DE", "client": "acme", "totp": False}
        self.administer("PUT", "/accounts/forgetful", account)
        token = self.log_in("forgetful", address).json()["token"]
        self._client.post("/logout", headers={"authorization": f"Bearer {token}"})
        self.get_profile(token, address)

    def issue_certificate(self) -> str:
        """Issue a certificate; returns its serial number."""
        order = {
            "request": CERTIFICATE_REQUEST,
            "certificate_type": "tls_client",
            "validity_seconds": 90 * 86_400,
        }
        serial_number: str = self._operate("/certificates", order)["serial_number"]
        return serial_number

    def enter_revocation(self, serial_number: str, requested_at: float, decided_at: float | None = None) -> int:
        """Enter a request to revoke a certificate with its times (Unix time); returns its id."""
        request = {"serial_number": serial_number, "requested_at": requested_at, "decided_at": decided_at}
        request_id: int = self.administer("POST", "/revocation-requests", request).json()["id"]
        return request_id

    def reject_revocation(self, request_id: int) -> None:
        """Decide that the certificate stays valid."""
        self._operate(f"/certificates/revocation-requests/{request_id}/decision", {"approved": False})

    def verify_signature(self, certificate: str) -> None:
        """Have a signature verified that is of a certificate (PEM), but of no document."""
        self._client.post("/signatures/verify", json={"content": "", "signature": "", "certificate": certificate})

    def validate_over_http(self, certificate: str) -> None:
        """Validate a certificate."""
        self._client.post(
            "/certificates/validate", json={"certificate": certificate, "certificate_type": "document_signer"}
        )

    def validate(self) -> None:
        """Validate a valid certificate over gRPC. Raises grpc.RpcError."""
        self._unary("Validate", self._validate_request(), messages.ValidateResponse)

    def sign(self, algorithm: str = "sha256") -> str:
        """Sign a document over gRPC; returns the signer's certificate (PEM). Raises grpc.RpcError."""
        request = messages.SignRequest(content=b"a document", algorithm=algorithm)
        certificate: str = self._unary("Sign", request, messages.SignResponse).certificate
        return certificate

    def validate_stream(self) -> None:
        """Validate a certificate in a bidirectional stream. Raises grpc.RpcError."""
        call: Any = self._channel.stream_stream(
            _path("ValidateStream"),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=messages.ValidateResponse.FromString,
        )
        list(call(iter([self._validate_request()]), metadata=self._metadata(), timeout=_TIMEOUT_SECONDS))

    def _operate(self, path: str, body: object) -> Any:
        """Call the API as an operator. Raises httpx.HTTPStatusError on an error status."""
        account = {"password": _PASSWORD, "role": "operator", "country": "DE", "client": "acme", "totp": False}
        self.administer("PUT", "/accounts/drill-operator", account)
        token = self.log_in("drill-operator", _OPERATOR_ADDRESS).json()["token"]
        headers = {"authorization": f"Bearer {token}"}
        return self._client.post(path, headers=headers, json=body).raise_for_status().json()

    def _unary(self, method: str, request: object, response: Any) -> Any:
        call: Any = self._channel.unary_unary(
            _path(method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )
        return call(request, metadata=self._metadata(), timeout=_TIMEOUT_SECONDS)

    def _validate_request(self) -> messages.ValidateRequest:
        return messages.ValidateRequest(certificate=self._certificate, certificate_type="document_signer")

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._machine}"),)


def _client(service: TrustService, *, kept: int) -> httpx.Client:
    limits = httpx.Limits(max_keepalive_connections=kept)
    return httpx.Client(base_url=service.url, trust_env=False, timeout=_TIMEOUT_SECONDS, limits=limits)


def _path(method: str) -> str:
    return f"/trust.v1.TrustService/{method}"
