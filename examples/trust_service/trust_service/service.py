"""The parts of the service, opened and closed together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from trust_otel import get_metrics

from .authority import Authority
from .database import Database
from .documents import SLA, SLA_OBJECTIVE
from .rate_limit import RateLimit
from .sessions import Sessions
from .settings import Settings
from .signatures import Signer

metrics = get_metrics()

_HOUSEKEEPING_SECONDS = 10


@dataclass(frozen=True)
class Service:
    settings: Settings
    database: Database
    authority: Authority
    signer: Signer
    sessions: Sessions
    login_limit: RateLimit
    blocked_addresses: set[str]


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    authority = Authority()
    service = Service(
        settings=settings,
        database=Database(settings.database_url),
        authority=authority,
        signer=Signer(authority),
        sessions=Sessions(),
        login_limit=RateLimit("login", burst=10, per_second=1),
        blocked_addresses=set(),
    )
    await service.database.open()
    _announce(service)
    housekeeping = asyncio.create_task(_keep_house(service))
    try:
        yield service
    finally:
        housekeeping.cancel()
        with suppress(asyncio.CancelledError):
            await housekeeping
        await service.database.close()


def _announce(service: Service) -> None:
    """Say what does not happen by itself: which certificates to watch, and what was promised."""
    for name, certificate, certificate_type in (
        ("root-ca", service.authority.root, "root_ca"),
        ("issuing-ca", service.authority.issuing, "issuing_ca"),
        ("document-signer", service.signer.certificate, "document_signer"),
    ):
        metrics.set_certificate(name, not_after=certificate.not_valid_after_utc, certificate_type=certificate_type)
    metrics.set_sla_objective(SLA, SLA_OBJECTIVE)


async def _keep_house(service: Service) -> None:
    while True:
        service.sessions.forget_expired()
        _check_authority(service.authority)
        await service.database.is_up()
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)


def _check_authority(authority: Authority) -> None:
    began = time.perf_counter()
    up = authority.issuing.not_valid_after_utc > datetime.now(timezone.utc)
    metrics.record_dependency("issuing-ca", dependency_type="pki", up=up, duration=time.perf_counter() - began)
