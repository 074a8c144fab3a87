"""Monitors the certificates in TRUST_OTEL_CERTIFICATES: expiry, and revocation by CRL and OCSP."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.background import Periodic
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.monitors.certificates.report import SourceReport, summary
from trust_otel.settings import Settings

if TYPE_CHECKING:
    from trust_otel.monitors.certificates.ocsp import CertificateStatus, OcspResult
    from trust_otel.monitors.certificates.watcher import CertificateState, CertificateWatcher, CrlState

__all__ = ["CertificateInstrumentor", "SourceReport", "check_sources", "summary"]

_logger = logging.getLogger(__name__)

_SETTING: Final = "TRUST_OTEL_CERTIFICATES"
_KIND: Final = "certificates"
_MISSING: Final = "cryptography 45 or later is not installed: pip install 'trust-otel[certificates]'"
_STOP_SECONDS: Final = 12.0
"""Longer than the timeouts of a connection and a TLS handshake together."""


class CertificateInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Monitors certificates on a background thread.

    `instrument(metrics=...)` sets the `TrustServiceMetrics` that records; by default that of the process.
    """

    _series: _Series
    _periodic: Periodic | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """No required packages: a missing `cryptography` is reported as a problem of the source."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._series = series = _Series(recorder_of(kwargs.get("metrics")))
        wanted = settings.current()
        watcher = _watcher(wanted)
        if watcher is None:
            series.record_reports([SourceReport(_SETTING, _MISSING)])
            return
        series.declare(watcher.responders)
        self._periodic = Periodic(
            "trust-otel-certificates", wanted.certificate_interval, lambda: series.update(watcher)
        )
        self._periodic.start()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._series.stop()
        if self._periodic is not None:
            self._periodic.stop(_STOP_SECONDS)
            self._periodic = None
        self._series.remove()


def check_sources(wanted: Settings) -> list[SourceReport]:
    """Read every source once, without recording metrics."""
    watcher = _watcher(wanted)
    return [SourceReport(_SETTING, _MISSING)] if watcher is None else list(watcher.poll().reports)


def _watcher(wanted: Settings) -> CertificateWatcher | None:
    """The watcher, or `None` if `cryptography` is missing or too old."""
    try:
        from cryptography import __version__ as version

        if int(version.partition(".")[0]) < 45:
            return None
        from trust_otel.monitors.certificates.watcher import CertificateWatcher
    except ImportError:
        return None
    return CertificateWatcher(wanted.certificates or (), wanted.certificate_password_file, wanted.attribute_length)


class _Series:
    """Keeps the metrics up to date with the last snapshot."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._stopped = False
        self._certificates: Mapping[str, CertificateState] = {}
        self._crls: Mapping[str, CrlState] = {}
        self._responders: set[str] = set()
        self._sources: set[str] = set()
        self._ignored: dict[str, tuple[str, ...]] = {}

    def declare(self, responders: Iterable[str]) -> None:
        """Start the response counters of each OCSP responder at 0."""
        for responder in responders:
            self._recorder.certificates.declare_ocsp_responder(responder)

    def update(self, watcher: CertificateWatcher) -> None:
        """Poll the sources and update the metrics."""
        snapshot = watcher.poll()
        if self._stopped:
            return
        for name in self._certificates.keys() - snapshot.certificates.keys():
            self._recorder.certificates.remove_certificate(name)
        for name, state in snapshot.certificates.items():
            if self._certificates.get(name) != state:
                self._recorder.certificates.set_certificate(
                    name,
                    not_after=state.not_after,
                    not_before=state.not_before,
                    certificate_type=state.type,
                    kind=state.kind,
                    chain_position=state.position,
                    revoked=state.revoked,
                )
        for name in self._crls.keys() - snapshot.crls.keys():
            self._recorder.certificates.remove_crl(name)
        for name, crl in snapshot.crls.items():
            if self._crls.get(name) != crl:
                self._recorder.certificates.set_crl(
                    name,
                    next_update=crl.next_update,
                    this_update=crl.this_update,
                    number=crl.number,
                    size=crl.size,
                )
        self._record_ocsp(snapshot.ocsp_responses)
        self._certificates, self._crls = snapshot.certificates, snapshot.crls
        self.record_reports(snapshot.reports)

    def _record_ocsp(self, responses: Iterable[tuple[str, OcspResult]]) -> None:
        verified: defaultdict[str, list[CertificateStatus]] = defaultdict(list)
        for responder, result in responses:
            self._recorder.certificates.record_ocsp_response(responder, status=result.status, duration=result.seconds)
            verified[responder].append(result.certificate)
        for responder, statuses in verified.items():
            this_updates = [status.this_update for status in statuses if status.this_update is not None]
            next_updates = [status.next_update for status in statuses if status.next_update is not None]
            # Without a verified response, the last one gets older.
            if this_updates:
                self._responders.add(responder)
                self._recorder.certificates.set_ocsp_validity(
                    responder, this_update=min(this_updates), next_update=min(next_updates, default=None)
                )

    def record_reports(self, reports: Iterable[SourceReport]) -> None:
        """Record for each source whether it could be read."""
        for report in reports:
            self._sources.add(report.name)
            self._recorder.sources.record_source(report.name, kind=_KIND, problem=report.problem)
            if report.ignored != self._ignored.get(report.name, ()):
                self._ignored[report.name] = report.ignored
                _logger.info(
                    "trust-otel: certificates %s: ignored %s", report.name, summary(report.ignored) or "nothing"
                )

    def stop(self) -> None:
        """Ignore all further snapshots, including that of a poll in progress."""
        self._stopped = True

    def remove(self) -> None:
        """Remove all series."""
        for name in self._certificates:
            self._recorder.certificates.remove_certificate(name)
        for name in self._crls:
            self._recorder.certificates.remove_crl(name)
        for responder in self._responders:
            self._recorder.certificates.remove_ocsp_validity(responder)
        for name in self._sources:
            self._recorder.sources.remove_source(name, kind=_KIND)
