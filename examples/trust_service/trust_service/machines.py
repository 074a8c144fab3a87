"""The gRPC interface, in the same process and event loop."""
# ruff: noqa: N802 (method names of trust.proto)

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar, get_args

import grpc
from grpc_health.v1.health import aio as health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server
from sqlalchemy import select

from trust_otel import get_metrics

from .access import Resource, may
from .audit import audit_refusal, audited
from .authority import CertificateType
from .credentials import hash_token
from .rpc import trust_pb2 as messages
from .rpc import trust_pb2_grpc as rpc
from .service import Service
from .signatures import Algorithm, HsmUnavailableError
from .tables import Certificate, Machine
from .validation import validate

metrics = get_metrics()

# In quotes, because the class is generic only in its stubs.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_Name = TypeVar("_Name", bound=str)

_CERTIFICATE_TYPES: tuple[CertificateType, ...] = get_args(CertificateType)
_ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
_MOST_LISTED = 1000
_WATCH_SECONDS = 10


class TrustServicer(rpc.TrustServiceServicer):
    def __init__(self, service: Service) -> None:
        self._service = service

    async def Validate(self, request: messages.ValidateRequest, context: Context) -> messages.ValidateResponse:
        await self._authorise(context, "certificate")
        await self._service.conduct.call(stream=False)
        return await self._validate(request, context)

    async def ValidateBatch(
        self, request_iterator: AsyncIterator[messages.ValidateRequest], context: Context
    ) -> messages.ValidateBatchResponse:
        await self._authorise(context, "certificate")
        await self._service.conduct.call(stream=True)
        valid, invalid = 0, Counter[str]()
        async for request in request_iterator:
            verdict = await self._validate(request, context)
            if verdict.valid:
                valid += 1
            else:
                invalid[verdict.reason] += 1
        return messages.ValidateBatchResponse(valid=valid, invalid=invalid)

    async def ValidateStream(
        self, request_iterator: AsyncIterator[messages.ValidateRequest], context: Context
    ) -> AsyncIterator[messages.ValidateResponse]:
        await self._authorise(context, "certificate")
        await self._service.conduct.call(stream=True)
        async for request in request_iterator:
            yield await self._validate(request, context)

    async def ListCertificates(
        self, request: messages.ListCertificatesRequest, context: Context
    ) -> AsyncIterator[messages.Certificate]:
        await self._authorise(context, "certificate")
        await self._service.conduct.call(stream=True)
        certificate_type = _one_of(_CERTIFICATE_TYPES, request.certificate_type)
        if certificate_type is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unknown type of certificate")
        async with self._service.database.begin() as transaction:
            rows = await transaction.scalars(
                select(Certificate)
                .where(Certificate.certificate_type == certificate_type)
                .order_by(Certificate.issued_at.desc())
                .limit(min(request.limit, _MOST_LISTED))
            )
            certificates = rows.all()
        for row in certificates:
            yield messages.Certificate(
                serial_number=row.serial_number,
                certificate_type=row.certificate_type,
                not_after=row.not_after,
                revoked=row.revoked_at is not None,
            )

    async def Sign(self, request: messages.SignRequest, context: Context) -> messages.SignResponse:
        machine = await self._authorise(context, "signature", "document.sign")
        await self._service.conduct.call(stream=False)
        algorithm = _one_of(_ALGORITHMS, request.algorithm)
        if algorithm is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unknown algorithm")
        signer, database = self._service.signer, self._service.database
        try:
            signature = await signer.sign(request.content, algorithm)
        except HsmUnavailableError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"HSM: {error}")
        if signature is None:
            await audit_refusal(database, machine.name, "document.sign")
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "signature policy")
        async with audited(database, machine.name, "document.sign"):
            return messages.SignResponse(signature=signature, certificate=signer.pem)

    async def _validate(self, request: messages.ValidateRequest, context: Context) -> messages.ValidateResponse:
        certificate_type = _one_of(_CERTIFICATE_TYPES, request.certificate_type)
        if certificate_type is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unknown type of certificate")
        problem = validate(self._service.authority, request.certificate, certificate_type)
        return messages.ValidateResponse(valid=problem is None, reason=problem or "")

    async def _authorise(self, context: Context, resource: Resource, action: str | None = None) -> Machine:
        """The caller, if it has permission; a denied `action` is recorded in the audit log."""
        machine = await self._authenticate(context)
        if machine is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "token missing or unknown")
        if not may(machine.role, resource):
            if action is not None:
                await audit_refusal(self._service.database, machine.name, action)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"no right to {resource}")
        return machine

    async def _authenticate(self, context: Context) -> Machine | None:
        token = _bearer_token(context)
        async with self._service.database.begin() as transaction:
            machine = await transaction.scalar(select(Machine).where(Machine.token_hash == hash_token(token)))
        metrics.record_auth_attempt(
            method="token",
            success=machine is not None,
            country=machine.country if machine is not None else None,
        )
        return machine


@asynccontextmanager
async def serve_machines(service: Service) -> AsyncIterator[None]:
    # Without port reuse, a second process fails instead of receiving half of the calls.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    rpc.add_TrustServiceServicer_to_server(TrustServicer(service), server)
    add_HealthServicer_to_server(health.HealthServicer(), server)
    server.add_insecure_port(service.settings.grpc_address)
    await server.start()
    watch = asyncio.create_task(_watch(service.settings.grpc_address))
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await server.stop(grace=5)


async def _watch(address: str) -> None:
    """Continuously call the health service over the network."""
    async with grpc.aio.insecure_channel(address) as channel:
        # The type stubs lack methods that exist at run time.
        interface: Any = HealthStub(channel)
        while True:
            began = time.perf_counter()
            try:
                answer = await interface.Check(HealthCheckRequest(), timeout=2)
                up = answer.status == HealthCheckResponse.SERVING
            except grpc.aio.AioRpcError:
                up = False
            metrics.record_dependency(
                "machine-interface", dependency_type="grpc", up=up, duration=time.perf_counter() - began
            )
            await asyncio.sleep(_WATCH_SECONDS)


def _one_of(known: Sequence[_Name], name: str) -> _Name | None:
    return next((candidate for candidate in known if candidate == name), None)


def _bearer_token(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return str(value).removeprefix("Bearer ")
    return ""
