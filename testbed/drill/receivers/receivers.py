"""All fake receivers in one process, identified by their channel."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import TracebackType

import uvicorn

from testbed.drill.receivers.mail_server import MailServer, channel, temporary_certificate
from testbed.drill.receivers.outages import Outages
from testbed.drill.receivers.pagerduty import ROUTING_KEY_LENGTH
from testbed.drill.receivers.pagerduty_incidents import PagerDutyIncidents
from testbed.drill.receivers.record import Delivery, Record, Rejection
from testbed.drill.receivers.web_server import Access, WebServer
from trust_ops.stack.ports import LOOPBACK, free_ports

_STOP_SECONDS = 10.0
# `.test` is reserved for tests (RFC 6761).
_SENDER = "alerts@trust.test"
_USER = "alertmanager"
_SLACK = ("default", "security", "platform", "business", "escalation")
_PAGERDUTY = ("security", "platform", "escalation")
# Variable and address of each mailbox.
_MAILBOXES = {
    "SECURITY_EMAIL": "security@trust.test",
    "PLATFORM_EMAIL": "platform@trust.test",
    "BUSINESS_EMAIL": "business@trust.test",
    "COMPLIANCE_EMAIL": "compliance@trust.test",
    "ESCALATION_EMAIL": "escalation@trust.test",
    "TEAM_LEAD_EMAIL": "team-lead@trust.test",
    "MANAGER_EMAIL": "manager@trust.test",
    "EXECUTIVE_EMAIL": "executive@trust.test",
}
_INCIDENT, _DEADMAN = "webhook:incident", "webhook:deadman"


class Receivers:
    """All receivers of notifications; a context manager.

    `channels` are `slack:` default, security, platform, business, escalation; `pagerduty:` security, platform,
    escalation; `email:` with an address at trust.test and the local part security, platform, business, compliance,
    escalation, team-lead, manager or executive; `webhook:incident` and `webhook:deadman`.

    A notification is a delivery once the receiver has confirmed it. A notification that the receiver rejected, or whose
    sender timed out, is a rejection: Alertmanager sends it again.

    Args:
        address: Where they listen; with TLS, if it is not loopback.
        ports: Of HTTP and of mail; by default free ones of loopback.

    Attributes:
        channels: All channels.
        pagerduty: The incidents in PagerDuty.

    Raises:
        OSError: No port is free.
    """

    def __init__(self, address: str = LOOPBACK, ports: tuple[int, int] | None = None) -> None:
        self._address = address
        self._web_port, self._mail_port = ports or free_ports(2)
        self._password = secrets.token_urlsafe(24)
        slack = {f"/services/{_slack_id('T')}/{_slack_id('B')}/{secrets.token_hex(12)}": name for name in _SLACK}
        pagerduty = {secrets.token_hex(ROUTING_KEY_LENGTH // 2): name for name in _PAGERDUTY}
        self._access = Access(
            slack={path: f"slack:{name}" for path, name in slack.items()},
            pagerduty={key: f"pagerduty:{name}" for key, name in pagerduty.items()},
            incident_path=f"/incidents/{secrets.token_hex(8)}",
            incident_token=secrets.token_urlsafe(24),
            deadman_path=f"/deadman/{secrets.token_hex(8)}",
        )
        self.channels = frozenset(
            [
                *self._access.slack.values(),
                *self._access.pagerduty.values(),
                *map(channel, _MAILBOXES.values()),
                _INCIDENT,
                _DEADMAN,
            ]
        )
        self._record = Record()
        self._outages = Outages(self.channels)
        self.pagerduty = PagerDutyIncidents()
        self._running = ExitStack()
        self._certificate_authority: Path | None = None

    def __enter__(self) -> Receivers:
        """Start all receivers. Raises OSError if a port was taken meanwhile."""
        with ExitStack() as starting:
            folder = Path(starting.enter_context(TemporaryDirectory(prefix="trust-otel-receivers-")))
            self._certificate_authority, key = temporary_certificate(folder, self._address)
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self._certificate_authority, key)
            starting.enter_context(self.pagerduty)
            mail, web = (self._address, self._mail_port), (self._address, self._web_port)
            starting.enter_context(_Servers(self._mail_session(tls), mail, self._web(key), web))
            # Before the servers stop: hanging requests get their response.
            starting.callback(self._outages.restore_all)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def environment(self) -> dict[str, str]:
        """Variables of `monitoring/.env` that route notifications to these receivers, for `trust-otel render`."""
        web = f"{'https' if self._encrypted else 'http'}://{self._address}:{self._web_port}"
        slack = {name: f"{web}{path}" for path, name in self._access.slack.items()}
        pagerduty = {name: key for key, name in self._access.pagerduty.items()}
        return {
            "SMTP_HOST": f"{self._address}:{self._mail_port}",
            "SMTP_FROM": _SENDER,
            "SMTP_USERNAME": _USER,
            "SMTP_PASSWORD": self._password,
            "SMTP_CA_FILE": str(self._certificate_authority),
            **{f"SLACK_WEBHOOK_{name.upper()}": slack[f"slack:{name}"] for name in _SLACK},
            **{f"PAGERDUTY_{name.upper()}_KEY": pagerduty[f"pagerduty:{name}"] for name in _PAGERDUTY},
            "PAGERDUTY_URL": f"{web}/v2/enqueue",
            **_MAILBOXES,
            "INCIDENT_WEBHOOK_URL": f"{web}{self._access.incident_path}",
            "INCIDENT_WEBHOOK_TOKEN": self._access.incident_token,
            "DEADMAN_WEBHOOK_URL": f"{web}{self._access.deadman_path}",
            "ONCALL_SECURITY": "the security rota, https://rota.trust.test/security",
            "ONCALL_PLATFORM": "the platform rota, https://rota.trust.test/platform",
            "ONCALL_BUSINESS": "the business rota, https://rota.trust.test/business",
            "ONCALL_COMPLIANCE": "the compliance rota, https://rota.trust.test/compliance",
        }

    @property
    def problems(self) -> list[str]:
        """Malformed notifications, and requests to unknown paths or mailboxes."""
        return self._record.problems()

    @property
    def deliveries(self) -> list[Delivery]:
        """All accepted notifications, in order of arrival."""
        return self._record.deliveries()

    @property
    def rejections(self) -> list[Rejection]:
        """All rejected notifications, in order of arrival."""
        return self._record.rejections()

    def wait_for(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until `condition()` is true, checked after each arrival; returns whether it was true in time."""
        return self._record.wait_for(condition, seconds)

    def fail(self, channel: str, status: int = 500, retry_after: int | None = None) -> None:
        """Let a channel respond with `status` (HTTP; SMTP for `email:`) until it is restored.

        `retry_after` is the `Retry-After` header, in seconds. Raises ValueError on an unknown channel.
        """
        self._outages.fail(channel, status, retry_after)

    def hang(self, channel: str) -> None:
        """Let a channel accept requests and not respond until it is restored.

        Raises ValueError on an unknown channel.
        """
        self._outages.hang(channel)

    def restore(self, channel: str) -> None:
        """End a channel's outage. Raises ValueError on an unknown channel."""
        self._outages.restore(channel)

    @property
    def _encrypted(self) -> bool:
        # `trust-otel render` permits plain HTTP on loopback only.
        return self._address != LOOPBACK

    def _web(self, key: Path) -> uvicorn.Config:
        application = WebServer(self._access, self._record, self._outages, self.pagerduty).application()
        return uvicorn.Config(
            application,
            log_level="error",
            access_log=False,
            lifespan="off",
            # Longer than any test: a connection closed while in use would cause a retry.
            timeout_keep_alive=3600,
            ssl_certfile=self._certificate_authority if self._encrypted else None,
            ssl_keyfile=key if self._encrypted else None,
        )

    def _mail_session(self, tls: ssl.SSLContext) -> Callable[[], asyncio.Protocol]:
        login = (_USER, self._password)
        server = MailServer(_SENDER, login, set(_MAILBOXES.values()), self._record, self._outages)
        return lambda: server.protocol(tls)


class _Servers:
    """The mail server and the web server in one event loop, in a separate thread."""

    def __init__(
        self,
        mail: Callable[[], asyncio.Protocol],
        mail_address: tuple[str, int],
        web: uvicorn.Config,
        web_address: tuple[str, int],
    ) -> None:
        self._mail = mail
        self._mail_address = mail_address
        self._web = uvicorn.Server(web)
        self._web_socket = socket.create_server(web_address)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="receivers", daemon=True)

    def __enter__(self) -> _Servers:
        try:
            self._mail_server = self._loop.run_until_complete(self._loop.create_server(self._mail, *self._mail_address))
        except BaseException:
            self._web_socket.close()
            self._loop.close()
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._web.should_exit = True
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._web.serve(sockets=[self._web_socket]))
        finally:
            self._mail_server.close()
            self._loop.run_until_complete(_end_sessions())
            self._loop.close()


async def _end_sessions() -> None:
    """Close open mail sessions."""
    sessions = asyncio.all_tasks() - {asyncio.current_task()}
    for session in sessions:
        session.cancel()
    await asyncio.gather(*sessions, return_exceptions=True)


def _slack_id(kind: str) -> str:
    return kind + secrets.token_hex(5).upper()
