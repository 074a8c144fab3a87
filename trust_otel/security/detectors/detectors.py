"""Tells the rules what happened, and the service what they found."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from hashlib import blake2b
from socket import AF_INET6, inet_pton
from time import monotonic

from trust_otel.security.detectors.rules import (
    Attempt,
    AuthenticationRule,
    CredentialStuffing,
    ImpossibleTravel,
    MfaFatigue,
    PasswordSpraying,
    PathScanning,
)

_logger = logging.getLogger(__name__)


class Detectors:
    """Watches what clients do, and raises an incident once per offence, and again while it goes on.

    It keeps no account, address or path, only hashes of them that no other process makes. Its memory is bounded: under
    a flood of clients it remembers for a shorter time. Nothing raises; a fault of its own is logged once.

    Args:
        enabled: Names of the rules that are on, of `DETECTORS` in `trust_otel.setting_lists`.
        raise_incident: Takes the name of the rule, and the severity: `critical`, `warning` or `info`.
        clock: Seconds that only ever grow.
    """

    def __init__(
        self,
        enabled: Iterable[str],
        raise_incident: Callable[[str, str], None],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        names = frozenset(enabled)
        watching: tuple[AuthenticationRule, ...] = (CredentialStuffing(), PasswordSpraying(), ImpossibleTravel())
        self._authentication = [rule for rule in watching if rule.name in names]
        self._second_factor = MfaFatigue() if MfaFatigue.name in names else None
        self._not_found = PathScanning() if PathScanning.name in names else None
        self._raise_incident = raise_incident
        self._clock = clock
        self._key = os.urandom(16)
        # Reentrant: a garbage collection may run a finalizer, which may record, in the middle of a rule.
        self._lock = threading.RLock()
        self._faulty = False

    def authentication(self, *, success: bool, address: str | None, account: str | None, country: str | None) -> None:
        """An attempt to authenticate.

        Args:
            success: Whether the caller is who it says.
            address: IPv4 or IPv6 address of the client; `None` when nobody knows, as with the others.
            account: Name or number of the account.
            country: Two letters of ISO 3166-1, in capitals.
        """
        if not self._authentication:
            return
        try:
            hashed = None if account is None else self._hashed(account)
            client = None if address is None else _client(address)
            attempt = Attempt(success, client, hashed, country)
            with self._lock:
                now = self._clock()
                found = [(rule.name, rule.authentication(attempt, now)) for rule in self._authentication]
            for name, severity in found:
                self._tell(name, severity)
        except Exception as error:
            self._complain(error)

    def second_factor(self, *, success: bool, account: str | None, address: str | None) -> None:
        """A challenge for a second factor that was answered, or refused."""
        if self._second_factor is None or account is None:
            return
        try:
            hashed = self._hashed(account)
            with self._lock:
                severity = self._second_factor.second_factor(hashed, success, self._clock())
            self._tell(self._second_factor.name, severity)
        except Exception as error:
            self._complain(error)

    def not_found(self, address: str | None, path: str | None = None) -> None:
        """A request that no route matches, answered by 404.

        Args:
            address: IPv4 or IPv6 address of the client.
            path: What was asked for, so that one missing path asked for often is no scan.
        """
        if self._not_found is None or address is None:
            return
        try:
            client, hashed = _client(address), None if path is None else hash(path)
            with self._lock:
                severity = self._not_found.not_found(client, hashed, self._clock())
            self._tell(self._not_found.name, severity)
        except Exception as error:
            self._complain(error)

    def _tell(self, name: str, severity: str | None) -> None:
        if severity is not None:
            self._raise_incident(name, severity)

    def _hashed(self, account: str) -> int:
        name = str(account).encode(errors="backslashreplace")
        return int.from_bytes(blake2b(name, digest_size=8, key=self._key).digest(), "little")

    def _complain(self, error: Exception) -> None:
        # Only the type: the text of an error may hold what the client sent.
        if not self._faulty:
            _logger.warning("trust-otel: the detectors of suspicious activity failed: %s", type(error).__name__)
        self._faulty = True


def _client(address: str) -> int:
    """A number of who comes from an address, keyed anew in each process; a site has 64 bits of IPv6 (RFC 6177)."""
    if ":" in address:
        try:
            return hash(inet_pton(AF_INET6, address)[:8])
        except OSError:  # hashed by a setting, or with a zone
            pass
    return hash(address)
