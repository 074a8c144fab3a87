"""People, machines and attackers who call the example service, and its administrator."""

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

_PASSWORD = "correct horse battery staple"  # noqa: S105 - of an account that lives for one drill
_TIMEOUT_SECONDS = 10
_STOP_SECONDS = 15


@contextmanager
def again_and_again(call: Callable[[], object], per_second: float, callers: int = 1) -> Iterator[None]:
    """Call on threads of their own, each so often, while the block is open, whatever becomes of the calls."""
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


class Callers:
    """Everybody who calls one service, while the block is open."""

    def __init__(self, service: TrustService) -> None:
        self._service = service
        self._channel = grpc.insecure_channel(service.grpc_target, options=[("grpc.enable_http_proxy", 0)])
        # Where each answer counts no connection is kept: the service closes those on which it has failed.
        self._client = _client(service, kept=0)
        self._many = _client(service, kept=100)
        self._machine, self._certificate = "", ""

    def __enter__(self) -> Callers:
        answer = self.administer("PUT", "/machines/drill", {"role": "signer", "country": "DE"})
        self._machine = answer.json()["token"]
        self._certificate = self.sign()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        self._client.close()
        self._many.close()

    def administer(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Ask the administration for something. Raises httpx.HTTPStatusError when it refuses."""
        headers = {"authorization": f"Bearer {self._service.admin_token}"}
        return self._client.request(method, f"/admin{path}", headers=headers, json=body).raise_for_status()

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Let the service suffer from a fault while the block is open."""
        self.administer("POST", f"/faults/{name}", {"seconds": 300})
        try:
            yield
        finally:
            self.administer("DELETE", f"/faults/{name}")

    def ask_prices(self) -> None:
        """What costs the service least."""
        self._many.get("/documents/prices")

    def rate_document(self) -> None:
        """Say how content one is with the first document, which the service looks up."""
        self._many.post("/documents/1/feedback", json={"score": 4})

    def log_in(self, name: str, address: str, password: str = _PASSWORD) -> httpx.Response:
        """Log in from an address."""
        credentials = {"name": name, "password": password}
        return self._client.post("/login", json=credentials, headers={"x-forwarded-for": address})

    def show_token(self, token: str, address: str) -> None:
        """Ask for something with the token of a session."""
        headers = {"authorization": f"Bearer {token}", "x-forwarded-for": address}
        self._client.get("/me", headers=headers)

    def invent_token(self, address: str) -> None:
        """Guess the token of a session."""
        self.show_token(secrets.token_urlsafe(), address)

    def replay_session(self, address: str) -> None:
        """Use the token of a session that has ended."""
        account = {"password": _PASSWORD, "role": "clerk", "country": "DE", "client": "acme", "totp": False}
        self.administer("PUT", "/accounts/forgetful", account)
        token = self.log_in("forgetful", address).json()["token"]
        self._client.post("/logout", headers={"authorization": f"Bearer {token}"})
        self.show_token(token, address)

    def validate_over_http(self, certificate: str) -> None:
        """Have a certificate validated."""
        self._client.post(
            "/certificates/validate", json={"certificate": certificate, "certificate_type": "document_signer"}
        )

    def validate(self) -> None:
        """Have a good certificate validated over gRPC. Raises grpc.RpcError."""
        self._unary("Validate", self._question(), messages.ValidateResponse)

    def sign(self, algorithm: str = "sha256") -> str:
        """Have something signed over gRPC; the signer's certificate in PEM. Raises grpc.RpcError."""
        request = messages.SignRequest(content=b"a document", algorithm=algorithm)
        certificate: str = self._unary("Sign", request, messages.SignResponse).certificate
        return certificate

    def validate_stream(self) -> None:
        """Have certificates validated in a stream. Raises grpc.RpcError."""
        call: Any = self._channel.stream_stream(
            _path("ValidateStream"),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=messages.ValidateResponse.FromString,
        )
        list(call(iter([self._question()]), metadata=self._metadata(), timeout=_TIMEOUT_SECONDS))

    def _unary(self, method: str, request: object, response: Any) -> Any:
        call: Any = self._channel.unary_unary(
            _path(method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )
        return call(request, metadata=self._metadata(), timeout=_TIMEOUT_SECONDS)

    def _question(self) -> messages.ValidateRequest:
        return messages.ValidateRequest(certificate=self._certificate, certificate_type="document_signer")

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._machine}"),)


def _client(service: TrustService, *, kept: int) -> httpx.Client:
    limits = httpx.Limits(max_keepalive_connections=kept)
    return httpx.Client(base_url=service.url, trust_env=False, timeout=_TIMEOUT_SECONDS, limits=limits)


def _path(method: str) -> str:
    return f"/trust.v1.TrustService/{method}"
