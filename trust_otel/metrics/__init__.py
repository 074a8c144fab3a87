"""`TrustServiceMetrics`: one object, one method per thing that happens in a trust service."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from opentelemetry.metrics import MeterProvider

from trust_otel import forks, settings
from trust_otel.metrics.acme import AcmeMetrics
from trust_otel.metrics.business import BusinessMetrics
from trust_otel.metrics.certificate import CertificateMetrics
from trust_otel.metrics.certificate_transparency import CertificateTransparencyMetrics
from trust_otel.metrics.client import ClientMetrics
from trust_otel.metrics.dependency import DependencyMetrics
from trust_otel.metrics.family import Family
from trust_otel.metrics.http import HttpMetrics
from trust_otel.metrics.key import KeyMetrics
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.revocation import RevocationMetrics
from trust_otel.metrics.security import SecurityMetrics
from trust_otel.metrics.session import SessionMetrics
from trust_otel.metrics.timestamp import TimestampMetrics
from trust_otel.metrics.validation import ValidationMetrics
from trust_otel.recording.instruments import shared_instruments

__all__ = ["TrustServiceMetrics", "get_metrics"]

_Family = TypeVar("_Family", bound=Family)
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _public(
    method: Callable[Concatenate[_Family, _Parameters], _Result],
) -> Callable[Concatenate[TrustServiceMetrics, _Parameters], _Result]:
    """A method of one of the recorder's families as a method of `TrustServiceMetrics`."""

    @wraps(method)
    def call(metrics: TrustServiceMetrics, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        family: Any = metrics._recorder.family_with(method)
        return method(family, *args, **kwargs)

    return call


class TrustServiceMetrics:
    """Records what happens in a trust service; `docs/api.md` has an example of each method.

    No method raises because of what it is given.

    Args:
        meter_provider: Where the metrics go; OpenTelemetry's global provider by default, also when it is set later.
        limits: Bounds on labels; from the environment by default.
    """

    def __init__(self, meter_provider: MeterProvider | None = None, *, limits: settings.Limits | None = None) -> None:
        self._recorder = Recorder(shared_instruments(limits or settings.current().limits, meter_provider))
        self._bind()

    # Requests
    http_request_metrics = _public(HttpMetrics.http_request_metrics)
    set_client = _public(ClientMetrics.set_client)
    session_started = _public(SessionMetrics.session_started)
    session_ended = _public(SessionMetrics.session_ended)
    observe_sessions = _public(SessionMetrics.observe_sessions)

    # Certificates
    certificate_operation = _public(CertificateMetrics.certificate_operation)
    set_certificate = _public(CertificateMetrics.set_certificate)
    remove_certificate = _public(CertificateMetrics.remove_certificate)
    revocation_decided = _public(RevocationMetrics.revocation_decided)
    revocation_published = _public(RevocationMetrics.revocation_published)
    observe_pending_revocations = _public(RevocationMetrics.observe_pending_revocations)

    # Keys
    record_key_use = _public(KeyMetrics.record_key_use)
    record_key_approval = _public(KeyMetrics.record_key_approval)
    # Certificate transparency and ACME
    record_certificate_issued = _public(CertificateTransparencyMetrics.record_certificate_issued)
    observe_ct_feed = _public(CertificateTransparencyMetrics.observe_ct_feed)
    record_acme_order = _public(AcmeMetrics.record_acme_order)
    record_acme_challenge = _public(AcmeMetrics.record_acme_challenge)

    # Signatures and timestamps
    record_timestamp_response = _public(TimestampMetrics.record_timestamp_response)
    record_validation_result = _public(ValidationMetrics.record_validation_result)

    # Security
    record_auth_attempt = _public(SecurityMetrics.record_auth_attempt)
    record_mfa_challenge = _public(SecurityMetrics.record_mfa_challenge)
    record_authorization = _public(SecurityMetrics.record_authorization)
    record_security_incident = _public(SecurityMetrics.record_security_incident)
    record_rate_limited = _public(SecurityMetrics.record_rate_limited)
    record_threat_match = _public(SecurityMetrics.record_threat_match)
    privileged_operation = _public(SecurityMetrics.privileged_operation)
    record_audit_event = _public(SecurityMetrics.record_audit_event)
    record_compliance_check = _public(SecurityMetrics.record_compliance_check)

    # Business
    document_processing = _public(BusinessMetrics.document_processing)
    record_business_metric = _public(BusinessMetrics.record_business_metric)
    bind_business_metric = _public(BusinessMetrics.bind_business_metric)
    record_sla_event = _public(BusinessMetrics.record_sla_event)
    set_sla_objective = _public(BusinessMetrics.set_sla_objective)

    # Dependencies
    record_dependency = _public(DependencyMetrics.record_dependency)

    def _bind(self) -> None:
        """Bind each method to its family once, so that a call costs no more than there."""
        for name, method in vars(TrustServiceMetrics).items():
            # A subclass may have a method of its own.
            if not name.startswith("_") and getattr(type(self), name) is method:
                vars(self)[name] = getattr(self._recorder.family_with(method.__wrapped__), name)


_metrics: TrustServiceMetrics | None = None
_lock = forks.released_in_child(threading.Lock())


def get_metrics() -> TrustServiceMetrics:
    """The process's one `TrustServiceMetrics`."""
    global _metrics
    if _metrics is None:
        with _lock:
            if _metrics is None:
                _metrics = TrustServiceMetrics()
    return _metrics


def recorder_of(metrics: TrustServiceMetrics | None) -> Recorder:
    """What instrumentations and monitors record with: the recorder of `metrics`, or the process's own. Internal."""
    return (metrics or get_metrics())._recorder


def is_serving() -> bool:
    """Whether an application or gRPC server that is measured runs in this process. Internal."""
    return _metrics is not None and (_metrics._recorder.http.serving or _metrics._recorder.rpc.serving)
