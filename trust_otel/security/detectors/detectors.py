"""Passes events to the rules and reports the incidents that they detect."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from hashlib import blake2b
from socket import AF_INET6, inet_pton
from time import monotonic

from trust_otel import forks
from trust_otel.security.detectors.rules import (
    AuthenticationRule,
    CredentialStuffing,
    ImpossibleTravel,
    LoginAttempt,
    MfaFatigue,
    PasswordSpraying,
    PathScanning,
)

_logger = logging.getLogger(__name__)


class Detectors:
    """Detects suspicious activity. Reports an incident when an attack starts and every 5 minutes while it continues.

    Accounts, addresses and paths are kept only as hashes with a random key per process. Memory is bounded: with very
    many clients the windows get shorter. No method raises; an internal error is logged once.

    Args:
        enabled: Names of the enabled rules, from `DETECTORS` in `trust_otel.setting_lists`.
        report_incident: Called with the name of the rule and the severity: `critical`, `warning` or `info`.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        enabled: Iterable[str],
        report_incident: Callable[[str, str], None],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._names = frozenset(enabled)
        self._restart()
        forks.in_child(forks.Step.STATE, self._restart)
        self._report_incident = report_incident
        self._clock = clock
        self._key = os.urandom(16)
        # Reentrant: garbage collection during a rule may run a finalizer that records an event.
        self._lock = forks.released_in_child(threading.RLock())
        self._failed = False

    def _restart(self) -> None:
        """Forget all events, also in a forked process: its parent reports the attacks that began before the fork."""
        rules: tuple[AuthenticationRule, ...] = (CredentialStuffing(), PasswordSpraying(), ImpossibleTravel())
        self._authentication = [rule for rule in rules if rule.name in self._names]
        self._second_factor = MfaFatigue() if MfaFatigue.name in self._names else None
        self._not_found = PathScanning() if PathScanning.name in self._names else None

    def authentication(self, *, success: bool, address: str | None, account: str | None, country: str | None) -> None:
        """Record an authentication attempt. Unknown values are `None`.

        Args:
            success: Whether the authentication succeeded.
            address: IPv4 or IPv6 address of the client.
            account: Name or id of the account.
            country: ISO 3166-1 alpha-2 code, in upper case.
        """
        # Every rule is about accounts.
        if account is None or not self._authentication:
            return
        try:
            client = None if address is None else _client(address)
            attempt = LoginAttempt(success, client, self._hashed(account), country)
            with self._lock:
                now = self._clock()
                found = [(rule.name, rule.authentication(attempt, now)) for rule in self._authentication]
            for name, severity in found:
                self._report(name, severity)
        except Exception as error:
            self._log_error(error)

    def second_factor(self, *, success: bool, account: str | None, address: str | None) -> None:
        """Record the result of a second-factor challenge."""
        if self._second_factor is None or account is None:
            return
        try:
            hashed = self._hashed(account)
            with self._lock:
                severity = self._second_factor.second_factor(hashed, success, self._clock())
            self._report(self._second_factor.name, severity)
        except Exception as error:
            self._log_error(error)

    def not_found(self, address: str | None, path: str | None = None) -> None:
        """Record a request that matches no route (404).

        Args:
            address: IPv4 or IPv6 address of the client.
            path: The requested path. Repeated requests for the same path count once.
        """
        if self._not_found is None or address is None:
            return
        try:
            client, hashed = _client(address), None if path is None else hash(path)
            with self._lock:
                severity = self._not_found.not_found(client, hashed, self._clock())
            self._report(self._not_found.name, severity)
        except Exception as error:
            self._log_error(error)

    def _report(self, name: str, severity: str | None) -> None:
        if severity is not None:
            self._report_incident(name, severity)

    def _hashed(self, account: str) -> int:
        name = str(account).encode(errors="backslashreplace")
        return int.from_bytes(blake2b(name, digest_size=8, key=self._key).digest(), "little")

    def _log_error(self, error: Exception) -> None:
        # Only the type: the message may contain input of the client.
        if not self._failed:
            _logger.warning("trust-otel: the detection of suspicious activity failed: %s", type(error).__name__)
        self._failed = True


def _client(address: str) -> int:
    """A hash of the client, with a random key per process. IPv6 clients are identified by their /64 (RFC 6177)."""
    if ":" in address:
        try:
            return hash(inet_pton(AF_INET6, address)[:8])
        except OSError:  # hashed because of TRUST_OTEL_CLIENT_ADDRESS, or with a zone
            pass
    return hash(address)
