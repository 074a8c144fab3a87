"""gRPC as the simulated machines speak it. Imported only where grpcio is installed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import grpc

from testbed.load_generator import trust_pb2 as messages
from testbed.load_generator.errors import UnansweredError
from testbed.load_generator.state import Issued

_SERVICE = "trust.v1.TrustService"
_TIMEOUT_SECONDS = 10
# What the client itself says when it has not heard from the service.
_SILENCE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


@dataclass(frozen=True)
class Reply:
    """What the service answered, up to and with the status."""

    status: str
    responses: list[Any]


class _Options(TypedDict):
    metadata: tuple[tuple[str, str], ...]
    timeout: float


class Machines:
    def __init__(self, target: str) -> None:
        # A proxy in the environment is not meant for the service under test.
        self._channel = grpc.aio.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])

    async def close(self) -> None:
        await self._channel.close()

    async def validate(self, token: str, candidate: Issued) -> Reply:
        call = self._channel.unary_unary(_path("Validate"), _to_bytes, messages.ValidateResponse.FromString)
        return await _hear(_one(call(_question(candidate), **_options(token))))

    async def sign(self, token: str, content: bytes, algorithm: str) -> Reply:
        call = self._channel.unary_unary(_path("Sign"), _to_bytes, messages.SignResponse.FromString)
        request = messages.SignRequest(content=content, algorithm=algorithm)
        return await _hear(_one(call(request, **_options(token))))

    async def validate_batch(self, token: str, candidates: Sequence[Issued], *, hold: bool = False) -> Reply:
        """Validate many; `hold` leaves the stream open, for a service that answers before its end."""
        call = self._channel.stream_unary(_path("ValidateBatch"), _to_bytes, messages.ValidateBatchResponse.FromString)
        with _stream(candidates, hold=hold) as questions:
            return await _hear(_one(call(questions, **_options(token))))

    async def list_certificates(self, token: str, certificate_type: str, limit: int) -> Reply:
        call = self._channel.unary_stream(_path("ListCertificates"), _to_bytes, messages.Certificate.FromString)
        request = messages.ListCertificatesRequest(certificate_type=certificate_type, limit=limit)
        return await _hear(call(request, **_options(token)))

    async def validate_stream(self, token: str, candidates: Sequence[Issued], *, hold: bool = False) -> Reply:
        """Validate one after the other; `hold` as in `validate_batch`."""
        call = self._channel.stream_stream(_path("ValidateStream"), _to_bytes, messages.ValidateResponse.FromString)
        with _stream(candidates, hold=hold) as questions:
            return await _hear(call(questions, **_options(token)))

    async def call_missing_method(self, token: str) -> Reply:
        call = self._channel.unary_unary(_path("Forge"), _to_bytes, messages.SignResponse.FromString)
        return await _hear(_one(call(messages.SignRequest(), **_options(token))))


async def _hear(answers: AsyncIterable[Any]) -> Reply:
    responses: list[Any] = []
    try:
        async for response in answers:
            responses.append(response)
    except grpc.aio.AioRpcError as error:
        if error.code() in _SILENCE:
            raise UnansweredError(f"{error.code().name}: {error.details()}") from error
        return Reply(error.code().name, responses)
    return Reply("OK", responses)


async def _one(answer: Awaitable[Any]) -> AsyncIterator[Any]:
    yield await answer


@contextmanager
def _stream(candidates: Sequence[Issued], *, hold: bool) -> Iterator[AsyncIterator[messages.ValidateRequest]]:
    """The questions of a call.

    A client that goes on writing when the service has already answered gets INTERNAL from its own library in place of
    the answer, so with `hold` it stays silent, and does not even end the stream, until the block has ended.
    """
    answered = asyncio.Event()

    async def questions() -> AsyncIterator[messages.ValidateRequest]:
        for candidate in candidates:
            yield _question(candidate)
        if hold:
            await answered.wait()

    try:
        yield questions()
    finally:
        answered.set()


def _question(candidate: Issued) -> messages.ValidateRequest:
    return messages.ValidateRequest(certificate=candidate.certificate, certificate_type=candidate.certificate_type)


def _to_bytes(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded


def _path(method: str) -> str:
    return f"/{_SERVICE}/{method}"


def _options(token: str) -> _Options:
    return {"metadata": (("authorization", f"Bearer {token}"),), "timeout": _TIMEOUT_SECONDS}
