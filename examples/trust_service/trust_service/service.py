"""The components of the service, and their lifecycle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_otel import get_metrics

from .authority import Authority
from .certificate_folder import publish
from .clock import Clock
from .database import Database
from .documents import SLA, SLA_OBJECTIVE, Registers
from .faults import Conduct, Faults
from .rate_limit import RateLimit
from .revocations import Publisher
from .sessions import Sessions
from .settings import Settings
from .signatures import KEY_LABEL, Signer
from .timestamping import ACCURACY_SECONDS, TimestampingAuthority

if TYPE_CHECKING:
    from .hsm import HsmKey

metrics = get_metrics()

_HOUSEKEEPING_SECONDS = 10


@dataclass(frozen=True)
class Service:
    settings: Settings
    database: Database
    authority: Authority
    publisher: Publisher
    signer: Signer
    clock: Clock
    timestamping: TimestampingAuthority
    registers: Registers
    conduct: Conduct
    faults: Faults
    sessions: Sessions
    login_limit: RateLimit
    blocked_addresses: set[str]

    def publish_certificates(self) -> None:
        """Write the service's own certificates to their folder, if one is set."""
        if self.settings.certificate_folder is not None:
            publish(self.settings.certificate_folder, self.authority, self.signer, self.timestamping)


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    authority, database, registers = Authority(), Database(settings.database_url), Registers()
    key = _open_key(settings)
    publisher, signer, conduct = Publisher(authority, database), Signer(authority, key), Conduct()
    clock = Clock(settings.time_server, ACCURACY_SECONDS)
    timestamping = TimestampingAuthority(authority, lambda: clock.is_exact)
    service = Service(
        settings=settings,
        database=database,
        authority=authority,
        publisher=publisher,
        signer=signer,
        clock=clock,
        timestamping=timestamping,
        registers=registers,
        conduct=conduct,
        faults=Faults(conduct, database, registers, authority, publisher, signer, timestamping),
        sessions=Sessions(),
        login_limit=RateLimit("login", burst=10, per_second=1),
        blocked_addresses=set(),
    )
    await service.database.open()
    await service.clock.compare()
    service.publish_certificates()
    metrics.set_sla_objective(SLA, SLA_OBJECTIVE)
    metrics.observe_pending_revocations(lambda: publisher.oldest)
    housekeeping = asyncio.create_task(_keep_house(service))
    try:
        yield service
    finally:
        housekeeping.cancel()
        with suppress(asyncio.CancelledError):
            await housekeeping
        await service.faults.end()
        service.signer.close()
        if key is not None:
            key.close()
        await service.database.close()


def _open_key(settings: Settings) -> HsmKey | None:
    if settings.hsm is None:
        return None
    # A service without an HSM does not need python-pkcs11.
    from .hsm import HsmKey

    return HsmKey(settings.hsm, KEY_LABEL)


async def _keep_house(service: Service) -> None:
    while True:
        service.sessions.forget_expired()
        await service.database.is_up()
        await service.publisher.publish()
        await service.clock.compare()
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)
