"""The certificates that TRUST_OTEL_CERTIFICATES names: how long they live, and whether they are revoked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.background import Periodic
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.monitors.certificates.report import SourceReport
from trust_otel.settings import Settings

if TYPE_CHECKING:
    from trust_otel.monitors.certificates.watch import Watch, Watched

__all__ = ["CertificateInstrumentor", "SourceReport", "check_sources"]

_SETTING: Final = "TRUST_OTEL_CERTIFICATES"
_KIND: Final = "certificates"
_MISSING: Final = "cryptography 45 or later is not installed: pip install 'trust-otel[certificates]'"
_STOP_SECONDS: Final = 12.0
"""As long as a connection that hangs lasts: to connect, and to shake hands."""


class CertificateInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Watches certificates on a thread of its own.

    `instrument(metrics=...)` takes the `TrustServiceMetrics` to record with; the process's own by default.
    """

    _series: _Series
    _periodic: Periodic | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """What has to be installed; without `cryptography` it says by itself what is missing."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._series = series = _Series(recorder_of(kwargs.get("metrics")))
        wanted = settings.current()
        watch = _watch(wanted)
        if watch is None:
            series.show_reports([SourceReport(_SETTING, _MISSING)])
            return
        series.declare(watch.responders)
        self._periodic = Periodic("trust-otel-certificates", wanted.certificate_interval, lambda: series.show(watch))
        self._periodic.start()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._series.end()
        if self._periodic is not None:
            self._periodic.stop(_STOP_SECONDS)
            self._periodic = None
        self._series.remove()


def check_sources(wanted: Settings) -> list[SourceReport]:
    """Look once at everything that the service would watch, and record nothing."""
    watch = _watch(wanted)
    return [SourceReport(_SETTING, _MISSING)] if watch is None else list(watch.look().reports)


def _watch(wanted: Settings) -> Watch | None:
    """The watch, or `None` without the package that reads certificates."""
    try:
        from cryptography import __version__ as version

        if int(version.partition(".")[0]) < 45:
            return None
        from trust_otel.monitors.certificates.watch import Watch
    except ImportError:
        return None
    return Watch(wanted.certificates or (), wanted.certificate_password_file, wanted.attribute_length)


class _Series:
    """What the metrics show of the last look."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._ended = False
        self._certificates: Mapping[str, Watched] = {}
        self._lists: Collection[str] = ()
        self._sources: set[str] = set()

    def declare(self, responders: Iterable[str]) -> None:
        """Show the answers of each OCSP responder as 0 before the first."""
        for responder in responders:
            self._recorder.certificates.declare_ocsp_responder(responder)

    def show(self, watch: Watch) -> None:
        """Look, and replace what is shown."""
        look = watch.look()
        if self._ended:
            return
        for name in self._certificates.keys() - look.certificates.keys():
            self._recorder.certificates.remove_certificate(name)
        for name, watched in look.certificates.items():
            if self._certificates.get(name) != watched:
                self._recorder.certificates.set_certificate(
                    name,
                    not_after=watched.not_after,
                    not_before=watched.not_before,
                    certificate_type=watched.type,
                    revoked=watched.revoked,
                )
        for name in set(self._lists) - look.next_updates.keys():
            self._recorder.certificates.remove_crl(name)
        for name, next_update in look.next_updates.items():
            self._recorder.certificates.set_crl(name, next_update=next_update)
        for responder, status in look.answers:
            self._recorder.certificates.record_ocsp_response(responder, status=status)
        self._certificates, self._lists = look.certificates, look.next_updates.keys()
        self.show_reports(look.reports)

    def show_reports(self, reports: Iterable[SourceReport]) -> None:
        """Say of each source whether it could be read."""
        for report in reports:
            self._sources.add(report.name)
            self._recorder.sources.record_source(report.name, kind=_KIND, problem=report.problem)

    def end(self) -> None:
        """Show nothing new any more, also not what a look finds that has begun."""
        self._ended = True

    def remove(self) -> None:
        """Take everything away."""
        for name in self._certificates:
            self._recorder.certificates.remove_certificate(name)
        for name in self._lists:
            self._recorder.certificates.remove_crl(name)
        for name in self._sources:
            self._recorder.sources.remove_source(name, kind=_KIND)
