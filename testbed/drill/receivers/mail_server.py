"""A mail server that requires STARTTLS and a password, and accepts mail for known mailboxes only.

Sources: RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 4954 (AUTH).
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import ssl
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from testbed.drill.receivers import mail, message_alerts
from testbed.drill.receivers.outages import Failure, Outages
from testbed.drill.receivers.record import Delivery, Record, Rejection
from testbed.drill.receivers.webhook import status
from trust_ops.stack.ports import LOOPBACK

_HOST = "localhost"
_CHANNEL = "email"

# aiosmtpd warns at every login about a deprecated attribute that it sets itself.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class MailServer:
    """Accepts the mail of one user, and delivers it once for each mailbox.

    Args:
        sender: The only allowed sender address.
        login: User name and password.
        mailboxes: Addresses of the mailboxes.
    """

    def __init__(
        self,
        sender: str,
        login: tuple[str, str],
        mailboxes: Collection[str],
        record: Record,
        outages: Outages,
    ) -> None:
        self._sender = sender
        self._login = login
        self._mailboxes = mailboxes
        self._record = record
        self._outages = outages

    def protocol(self, tls: ssl.SSLContext) -> SMTP:
        """An SMTP session; needs a running event loop."""
        return _Session(
            self,
            hostname=_HOST,
            tls_context=tls,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, given: object
    ) -> AuthResult:
        wanted = tuple(word.encode() for word in self._login)
        known = isinstance(given, LoginPassword) and all(
            hmac.compare_digest(have, want) for have, want in zip((given.login, given.password), wanted, strict=True)
        )
        if not known:
            self._record.add_problems(_CHANNEL, [f"wrong user or password ({mechanism})"])
        return AuthResult(success=known, handled=False, auth_data=given)

    async def handle_MAIL(  # noqa: N802 - named by aiosmtpd
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """MAIL FROM."""
        if address != self._sender:
            self._record.add_problems(_CHANNEL, [f"MAIL FROM {address!r}: sender not allowed"])
            return "553 5.7.1 Sender address rejected: not owned by user"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802 - named by aiosmtpd
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """RCPT TO."""
        if address not in self._mailboxes:
            self._record.add_problems(_CHANNEL, [f"RCPT TO {address!r}: unknown mailbox"])
            return "550 5.1.1 Recipient address rejected: User unknown"
        failure = self._outages.failure(channel(address))
        if failure is not None:
            self._record.reject(Rejection(channel(address), failure.status))
            return _failed(failure)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802 - named by aiosmtpd
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """DATA; a hanging channel waits here, after the whole mail was received."""
        channels = [channel(address) for address in envelope.rcpt_tos]
        for name in channels:
            try:
                failure = await self._outages.wait_while_hanging(name)
            except asyncio.CancelledError:
                self._record.reject(Rejection(name, None))
                raise
            if failure is not None:
                self._record.reject(Rejection(name, failure.status))
                return _failed(failure)
        content = envelope.original_content or b""
        message = mail.parse(content)
        alerts = message_alerts.in_mail(message)
        problems = mail.problems(message, content, envelope.mail_from or "", envelope.rcpt_tos)
        problems += [f"shows only in plain text: {labels}" for labels in message_alerts.only_in_text(message)]
        self._record.add_problems(", ".join(channels), problems if alerts else [*problems, "shows no alert"])
        for name in channels:
            self._record.deliver(Delivery(name, status(alerts), alerts, content))
        return "250 2.0.0 Ok: queued"


class _Session(SMTP):
    # Longer than the RFC allows, so that a too long line is recorded as a problem instead of a protocol error.
    line_length_limit = 2**20
    # Standard prompts; Alertmanager supports no others.
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"


def channel(address: str) -> str:
    """The channel of a mailbox."""
    return f"{_CHANNEL}:{address}"


def _failed(failure: Failure) -> str:
    return f"{failure.status} Requested action not taken"


def temporary_certificate(folder: Path, address: str = LOOPBACK) -> tuple[Path, Path]:
    """A temporary certificate for an address, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _HOST)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(_HOST), x509.IPAddress(ip_address(address))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    trusted = folder / "receivers.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "receivers-key.pem"
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return trusted, private
