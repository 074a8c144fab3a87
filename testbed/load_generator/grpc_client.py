"""gRPC client of the machine accounts. Imported only where grpcio is installed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import grpc

from testbed.load_generator import trust_pb2 as messages
from testbed.load_generator.errors import NoResponseError
from testbed.load_generator.state import Issued

_SERVICE = "trust.v1.TrustService"
_TIMEOUT_SECONDS = 10
# Status codes that the client sets itself when the service sent none.
_NO_RESPONSE_CODES = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)


@dataclass(frozen=True)
class Reply:
    """All responses of a call, and its final status."""

    status: str
    responses: list[Any]


class _Options(TypedDict):
    metadata: tuple[tuple[str, str], ...]
    timeout: float


class GrpcClient:
    def __init__(self, target: str) -> None:
        # Ignore proxy variables: the service under test is local.
        self._channel = grpc.aio.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])

    async def close(self) -> None:
        await self._channel.close()

    async def validate(self, token: str, candidate: Issued) -> Reply:
        call = self._channel.unary_unary(_path("Validate"), _to_bytes, messages.ValidateResponse.FromString)
        return await _collect(_one(call(_validate_request(candidate), **_options(token))))

    async def sign(self, token: str, content: bytes, algorithm: str) -> Reply:
        call = self._channel.unary_unary(_path("Sign"), _to_bytes, messages.SignResponse.FromString)
        request = messages.SignRequest(content=content, algorithm=algorithm)
        return await _collect(_one(call(request, **_options(token))))

    async def validate_batch(self, token: str, candidates: Sequence[Issued], *, hold: bool = False) -> Reply:
        """Validate many certificates; `hold` keeps the request stream open until the service responds."""
        call = self._channel.stream_unary(_path("ValidateBatch"), _to_bytes, messages.ValidateBatchResponse.FromString)
        with _stream(candidates, hold=hold) as requests:
            return await _collect(_one(call(requests, **_options(token))))

    async def list_certificates(self, token: str, certificate_type: str, limit: int) -> Reply:
        call = self._channel.unary_stream(_path("ListCertificates"), _to_bytes, messages.Certificate.FromString)
        request = messages.ListCertificatesRequest(certificate_type=certificate_type, limit=limit)
        return await _collect(call(request, **_options(token)))

    async def validate_stream(self, token: str, candidates: Sequence[Issued], *, hold: bool = False) -> Reply:
        """Validate certificates one by one; `hold` as in `validate_batch`."""
        call = self._channel.stream_stream(_path("ValidateStream"), _to_bytes, messages.ValidateResponse.FromString)
        with _stream(candidates, hold=hold) as requests:
            return await _collect(call(requests, **_options(token)))

    async def call_missing_method(self, token: str) -> Reply:
        call = self._channel.unary_unary(_path("Forge"), _to_bytes, messages.SignResponse.FromString)
        return await _collect(_one(call(messages.SignRequest(), **_options(token))))


async def _collect(stream: AsyncIterable[Any]) -> Reply:
    responses: list[Any] = []
    try:
        async for response in stream:
            responses.append(response)
    except grpc.aio.AioRpcError as error:
        if error.code() in _NO_RESPONSE_CODES:
            raise NoResponseError(f"{error.code().name}: {error.details()}") from error
        return Reply(error.code().name, responses)
    return Reply("OK", responses)


async def _one(response: Awaitable[Any]) -> AsyncIterator[Any]:
    yield await response


@contextmanager
def _stream(candidates: Sequence[Issued], *, hold: bool) -> Iterator[AsyncIterator[messages.ValidateRequest]]:
    """The request stream of a call.

    If a client writes after the service has ended the call, gRPC reports INTERNAL instead of the service's status.
    With `hold`, the client sends nothing more and leaves its stream open until the block ends.
    """
    ended = asyncio.Event()

    async def requests() -> AsyncIterator[messages.ValidateRequest]:
        for candidate in candidates:
            yield _validate_request(candidate)
        if hold:
            await ended.wait()

    try:
        yield requests()
    finally:
        ended.set()


def _validate_request(candidate: Issued) -> messages.ValidateRequest:
    return messages.ValidateRequest(certificate=candidate.certificate, certificate_type=candidate.certificate_type)


def _to_bytes(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded


def _path(method: str) -> str:
    return f"/{_SERVICE}/{method}"


def _options(token: str) -> _Options:
    return {"metadata": (("authorization", f"Bearer {token}"),), "timeout": _TIMEOUT_SECONDS}
