"""Authentication, authorisation, incidents, audit and compliance."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final, Generic, TypeVar

from trust_otel.metrics.event import EventCounter, event_log
from trust_otel.metrics.family import Family, outcome
from trust_otel.metrics.operation import Operation
from trust_otel.metrics.request import Request, current_request
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, PositionalLabels
from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.security.client_address import AddressForm, canonical, read_key
from trust_otel.security.detectors import Detectors
from trust_otel.security.heavy_hitters import HeavyHitters
from trust_otel.semconv import events
from trust_otel.semconv.attributes import TRUST_RATE_LIMIT_NAME, TRUST_SECURITY_INCIDENT_TYPE
from trust_otel.semconv.metrics import (
    TRUST_AUDIT_EVENTS,
    TRUST_AUDIT_OPERATIONS,
    TRUST_AUTH_ATTEMPTS,
    TRUST_AUTH_MFA_CHALLENGES,
    TRUST_AUTHZ_DECISIONS,
    TRUST_COMPLIANCE_CHECKS,
    TRUST_SECURITY_AUTH_FAILURES,
    TRUST_SECURITY_DETECTOR_ENABLED,
    TRUST_SECURITY_INCIDENTS,
    TRUST_SECURITY_RATE_LIMITED,
    TRUST_SECURITY_THREAT_MATCHES,
)

_logger = logging.getLogger(__name__)

# Status of HTTP (RFC 9110 and 6585) and of gRPC.
_UNAUTHENTICATED: Final = (401, "UNAUTHENTICATED")
_PERMISSION_DENIED: Final = (403, "PERMISSION_DENIED")
_TOO_MANY: Final = (429, "RESOURCE_EXHAUSTED")

_FAILED: Final = {"trust.outcome": "failure"}

_Found = TypeVar("_Found")


class SecurityMetrics(Family):
    """Security signals.

    Within a request, an event that the service records is not counted again from the response.
    """

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        limits = instruments.limits
        counter = instruments.counter
        self._address_form = self._make_address_form(limits.client_address_form, limits.client_address_key_file)
        event_counter = partial(EventCounter, log=event_log(limits, self._address_form, instruments.dropped))
        self._auth_attempts = event_counter(
            counter(TRUST_AUTH_ATTEMPTS),
            *("trust.auth.method", "trust.outcome", "geo.country.iso_code"),
            event=events.TRUST_AUTH_FAILURE,
            only=_FAILED,
        )
        self._mfa_challenges = event_counter(
            counter(TRUST_AUTH_MFA_CHALLENGES),
            *("trust.auth.mfa.method", "trust.outcome"),
            event=events.TRUST_AUTH_MFA_FAILURE,
            only=_FAILED,
        )
        self._authz_decisions = event_counter(
            counter(TRUST_AUTHZ_DECISIONS),
            *("trust.authz.decision", "trust.authz.resource.type"),
            event=events.TRUST_AUTHZ_DENIAL,
            only={"trust.authz.decision": "deny"},
        )
        self._incidents = event_counter(
            counter(TRUST_SECURITY_INCIDENTS),
            *("trust.security.incident.type", "trust.severity"),
            event=events.TRUST_SECURITY_INCIDENT,
        )
        self._rate_limited = event_counter(
            counter(TRUST_SECURITY_RATE_LIMITED),
            "trust.rate_limit.name",
            event=events.TRUST_SECURITY_RATE_LIMITED,
        )
        self._threat_matches = event_counter(
            counter(TRUST_SECURITY_THREAT_MATCHES),
            *("trust.threat.feed", "geo.country.iso_code"),
            event=events.TRUST_SECURITY_THREAT_MATCH,
        )
        self._audit_operations = PositionalLabels(counter(TRUST_AUDIT_OPERATIONS), "trust.audit.action")
        self._audit_events = event_counter(
            counter(TRUST_AUDIT_EVENTS),
            *("trust.audit.action", "trust.outcome"),
            event=events.TRUST_AUDIT_RECORD,
        )
        self._compliance_checks = event_counter(
            counter(TRUST_COMPLIANCE_CHECKS),
            *("trust.compliance.framework", "trust.compliance.control", "trust.outcome"),
            event=events.TRUST_COMPLIANCE_FAILURE,
            only=_FAILED,
        )
        self._detectors = Detectors(limits.detectors, self._raise_incident)
        enabled = [(1, {TRUST_SECURITY_INCIDENT_TYPE.name: name}) for name in limits.detectors]
        instruments.observe(TRUST_SECURITY_DETECTOR_ENABLED, lambda: enabled, combine=max)
        self._countries: _LookUp[str | None] | None = None
        self._feeds: _LookUp[tuple[str, ...]] | None = None
        self._heavy_hitters = HeavyHitters(threshold=limits.offender_threshold, capacity=limits.offender_capacity)
        instruments.observe(TRUST_SECURITY_AUTH_FAILURES, self._heavy_hitters.rows)

    @fail_open
    def record_auth_attempt(
        self,
        *,
        method: str,
        success: bool,
        country: str | None = None,
        client_address: str | None = None,
        account: str | None = None,
    ) -> None:
        """Count an attempt to authenticate.

        Args:
            method: How, such as `password`.
            success: Whether the caller is who it says.
            country: Two letters of ISO 3166-1; by default that of the client's address, when it can be looked up.
            client_address: IPv4 or IPv6 address; by default that of the current request's client. It appears in a
                series only when it fails often, as TRUST_OTEL_CLIENT_ADDRESS says.
            account: What the caller claims to be, such as a login name, for the detectors only. It appears in no series
                and no log, and is kept only as a keyed hash.
        """
        request = current_request()
        if request is not None:
            request.authentication_told = True
            request.refusal_told = not success
        address = self._address(client_address, request)
        if country is None:
            country = self._country_of(address)
        self._auth_attempts.happened(address, method, outcome(success), country)
        self._evaluate_attempt(success=success, country=country, address=address, account=account)

    @fail_open
    def record_mfa_challenge(
        self, *, method: str, success: bool, account: str | None = None, client_address: str | None = None
    ) -> None:
        """Count a challenge for a second factor.

        Args:
            method: The factor, such as `totp`.
            success: Whether the caller passed it.
            account: Whose factor, for the detectors only; kept as that of `record_auth_attempt` is.
            client_address: IPv4 or IPv6 address, for the detectors; by default that of the current request's client.
        """
        request = current_request()
        if request is not None:
            request.authentication_told = True
            request.refusal_told = not success
        address = self._address(client_address, request)
        self._mfa_challenges.happened(address, method, outcome(success))
        self._detectors.second_factor(success=success, account=account, address=address)

    @fail_open
    def record_authorization(self, *, granted: bool, resource_type: str | None = None) -> None:
        """Count a decision about access to a kind of resource."""
        request = current_request()
        if request is not None:
            request.authorization_told = True
            request.refusal_told = not granted
        self._count(self._authz_decisions, request, "grant" if granted else "deny", resource_type)

    @fail_open
    def record_security_incident(self, incident_type: str, *, severity: str) -> None:
        """Count suspicious activity, such as `credential_stuffing`; severity is `critical`, `warning` or `info`."""
        self._count(self._incidents, current_request(), incident_type, severity)

    @fail_open
    def record_rate_limited(self, name: str) -> None:
        """Count a request that the rate limit of this name refused."""
        request = current_request()
        if request is not None:
            request.rate_limit_told = request.refusal_told = True
        self._count(self._rate_limited, request, name)

    @fail_open
    def record_threat_match(self, feed: str, *, country: str | None = None) -> None:
        """Count a request from an address that the reputation feed of this name lists, once per request and feed.

        Args:
            feed: Name of the feed.
            country: Two letters of ISO 3166-1; by default that of the current request's client, when it can be looked
                up.
        """
        request = current_request()
        if request is None:
            self._count(self._threat_matches, None, feed, country)
            return
        request.refusal_told = True
        self._count_match(request, feed, self._country_of(self._client_of(request)) if country is None else country)

    def privileged_operation(self, action: str) -> PrivilegedOperation:
        """Count that a privileged operation begins, as a context manager or a decorator, sync or async.

        Nothing is recorded at its end: the service calls `record_audit_event` with the same action where it writes the
        audit record. This query finds operations without an audit record:

            sum by (trust_audit_action) (increase(trust_audit_operations_total[1h]))
              - sum by (trust_audit_action) (increase(trust_audit_events_total[1h])) > 0

        Args:
            action: What is done, such as `certificate.issue`.
        """
        return PrivilegedOperation(self._audit_operations, self._audit_events, action)

    @fail_open
    def record_audit_event(self, action: str, *, success: bool = True) -> None:
        """Count a record in the audit log, such as `certificate.issue`."""
        self._count(self._audit_events, None, action, outcome(success))

    @fail_open
    def record_compliance_check(self, *, framework: str, control: str, passed: bool) -> None:
        """Count a check of a control, such as `signature_policy` of `eidas`."""
        self._count(self._compliance_checks, None, framework, control, outcome(passed))

    def use_countries(self, look_up: Callable[[str], str | None] | None) -> None:
        """Set what gives the country (ISO 3166-1, two letters) of an address in its canonical form."""
        self._countries = None if look_up is None else _LookUp(look_up, "country", self._dropped)

    def use_feeds(self, look_up: Callable[[str], tuple[str, ...]] | None) -> None:
        """Set what gives the names of the reputation feeds that list an address in its canonical form."""
        self._feeds = None if look_up is None else _LookUp(look_up, "reputation", self._dropped)

    def request_began(self, request: Request) -> None:
        """Count a match for each reputation feed that lists the client; for instrumentations."""
        # A service without feeds does not pay for the guard in each request.
        if self._feeds is not None:
            self._match_feeds(request, self._feeds)

    @fail_open
    def request_answered(self, request: Request, status: int | str | None, *, place: str | None) -> None:
        """Count what a response implies about authentication, authorisation or a rate limit; for instrumentations.

        Not counted again when the service recorded an event of the same kind itself, nor for a 401 or 403 when the last
        event that the service recorded was a refusal of another kind.

        Args:
            request: The request.
            status: Status code of HTTP, or name of the status of gRPC.
            place: Route or method, which is the name of a rate limit; `None` when it is not known.
        """
        if status in _TOO_MANY:
            if not request.rate_limit_told:
                name = TRUST_RATE_LIMIT_NAME.other if place is None else place
                self._count(self._rate_limited, request, name)
        elif request.refusal_told:
            return
        elif status in _UNAUTHENTICATED and not request.authentication_told:
            self._count_unauthenticated(request)
        elif status in _PERMISSION_DENIED and not request.authorization_told:
            self._count(self._authz_decisions, request, "deny", None)

    @fail_open
    def path_not_found(self, request: Request, path: str) -> None:
        """Pass a request for an unknown path to the detectors; for instrumentations."""
        self._detectors.not_found(self._client_of(request), path)

    def _count_unauthenticated(self, request: Request) -> None:
        method = request.authentication_method()
        # Without need, the address is not looked up: it takes as long as recording the request.
        needed = method is not None or self._countries is not None or self._auth_attempts.exports
        address = self._client_of(request) if needed else None
        country = self._country_of(address)
        self._auth_attempts.happened(address, method or "none", outcome(False), country)
        # Without credentials it is no attempt: browsers send such a request first.
        if method is not None:
            self._evaluate_attempt(success=False, country=country, address=address, account=None)

    def _evaluate_attempt(
        self, *, success: bool, country: str | None, address: str | None, account: str | None
    ) -> None:
        """Pass an attempt to the heavy hitters and to the detectors."""
        shown = None if success or address is None else self._address_form.shown(address)
        if shown is not None and not self._heavy_hitters.add(shown):
            self._instruments.dropped.overflow(TRUST_SECURITY_AUTH_FAILURES.name)
        self._detectors.authentication(success=success, address=address, account=account, country=country)

    @fail_open
    def _match_feeds(self, request: Request, look_up: _LookUp[tuple[str, ...]]) -> None:
        address = self._client_of(request)
        feeds = None if address is None else look_up(address)
        if feeds:
            country = self._country_of(address)
            for feed in feeds:
                self._count_match(request, feed, country)

    def _count_match(self, request: Request, feed: str, country: str | None) -> None:
        if feed not in request.matched_feeds:
            request.matched_feeds += (feed,)
            self._count(self._threat_matches, request, feed, country)

    def _address(self, given: str | None, request: Request | None) -> str | None:
        """The address that the service gave, in its canonical form, or that of the request's client."""
        if given is None:
            return None if request is None else self._client_of(request)
        try:
            return canonical(given)
        except ValueError:
            self._dropped.report(
                "unknown_value",
                "client_address",
                lambda: "client_address is not an IPv4 or IPv6 address",
            )
            return None

    @fail_open
    def _client_of(self, request: Request) -> str | None:
        return request.client_address

    def _count(self, counter: EventCounter, request: Request | None, *values: object) -> None:
        """Count an event; export it with the address of the request's client."""
        if counter.exports:
            counter.happened(None if request is None else self._client_of(request), *values)
        else:
            # The address is not looked up: it takes as long as recording the request.
            counter(1, *values)

    def _country_of(self, address: str | None) -> str | None:
        return None if self._countries is None or address is None else self._countries(address)

    def _raise_incident(self, incident_type: str, severity: str) -> None:
        self.record_security_incident(incident_type, severity=severity)

    def _make_address_form(self, form: str, key_file: str | None) -> AddressForm:
        key = None
        if form == "hashed" and key_file is not None:
            try:
                key = read_key(key_file)
            except (OSError, ValueError) as error:
                self._dropped.count("unreadable_source")
                _logger.error(
                    "trust-otel: TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE cannot be used (%s); client addresses are hashed "
                    "with a key of this process",
                    (error.strerror or type(error).__name__) if isinstance(error, OSError) else error,
                )
        return AddressForm(form, key)


class PrivilegedOperation(Operation):
    """A privileged operation; its outcome is in its audit record."""

    def __init__(self, operations: PositionalLabels, events: PositionalLabels, action: str) -> None:
        self._operations = operations
        self._events = events
        self._action = action

    def _begin(self) -> None:
        # A query finds a gap only between series that are both there.
        for success in (True, False):
            self._events(0, self._action, outcome(success))
        self._operations(1, self._action)

    def _end(self, _seconds: float, _outcome: str, _reason: str | None) -> None:
        """Record nothing."""


class _LookUp(Generic[_Found]):
    """A look-up of an address; returns `None` when it fails."""

    def __init__(self, function: Callable[[str], _Found], purpose: str, dropped: DroppedMeasurements) -> None:
        self._function = function
        self._purpose = purpose
        self._dropped = dropped
        self._failed = False

    def __call__(self, address: str) -> _Found | None:
        try:
            return self._function(address)
        except Exception as error:
            self._dropped.count("internal_error")
            if not self._failed:
                self._failed = True
                # Not the text of the error, which may contain the address.
                _logger.error(
                    "trust-otel: the %s of a client could not be looked up (%s)", self._purpose, type(error).__name__
                )
            return None
