# Written by hand, because the generator has no option for it; only what the service uses.
# ruff: noqa: N802 (the names of the methods come from trust.proto)
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from . import trust_pb2 as messages

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

class TrustServiceServicer:
    async def Validate(self, request: messages.ValidateRequest, context: _Context) -> messages.ValidateResponse: ...
    async def Sign(self, request: messages.SignRequest, context: _Context) -> messages.SignResponse: ...
    async def ValidateBatch(
        self, request_iterator: AsyncIterator[messages.ValidateRequest], context: _Context
    ) -> messages.ValidateBatchResponse: ...
    def ListCertificates(
        self, request: messages.ListCertificatesRequest, context: _Context
    ) -> AsyncIterator[messages.Certificate]: ...
    def ValidateStream(
        self, request_iterator: AsyncIterator[messages.ValidateRequest], context: _Context
    ) -> AsyncIterator[messages.ValidateResponse]: ...

def add_TrustServiceServicer_to_server(servicer: TrustServiceServicer, server: grpc.aio.Server) -> None: ...
