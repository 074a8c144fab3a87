"""The components of the service, and their lifecycle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from trust_otel import get_metrics

from .authority import Authority
from .certificate_folder import publish
from .database import Database
from .documents import SLA, SLA_OBJECTIVE, Registers
from .faults import Conduct, Faults
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
    registers: Registers
    conduct: Conduct
    faults: Faults
    sessions: Sessions
    login_limit: RateLimit
    blocked_addresses: set[str]

    def publish_certificates(self) -> None:
        """Write the service's own certificates to their folder, if one is set."""
        if self.settings.certificate_folder is not None:
            publish(self.settings.certificate_folder, self.authority, self.signer)


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    authority, database, registers = Authority(), Database(settings.database_url), Registers()
    signer, conduct = Signer(authority), Conduct()
    service = Service(
        settings=settings,
        database=database,
        authority=authority,
        signer=signer,
        registers=registers,
        conduct=conduct,
        faults=Faults(conduct, database, registers, authority, signer),
        sessions=Sessions(),
        login_limit=RateLimit("login", burst=10, per_second=1),
        blocked_addresses=set(),
    )
    await service.database.open()
    service.publish_certificates()
    metrics.set_sla_objective(SLA, SLA_OBJECTIVE)
    housekeeping = asyncio.create_task(_keep_house(service))
    try:
        yield service
    finally:
        housekeeping.cancel()
        with suppress(asyncio.CancelledError):
            await housekeeping
        await service.faults.end()
        service.signer.close()
        await service.database.close()


async def _keep_house(service: Service) -> None:
    while True:
        service.sessions.forget_expired()
        await service.database.is_up()
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)
