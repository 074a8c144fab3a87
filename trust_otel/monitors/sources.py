"""Keeps the GeoIP database (TRUST_OTEL_GEOIP_DATABASE) and the reputation feeds (TRUST_OTEL_REPUTATION_FEEDS) up to
date."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.background import Periodic
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.security.geo import Countries
from trust_otel.security.reputation import Feeds

_CHECK_SECONDS: Final = 10


class SecurityInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Reloads the GeoIP database and the feeds on a background thread when they change.

    The start of the service does not wait for the first read: until then, every country is unknown and no feed matches.
    `instrument(metrics=...)` sets the `TrustServiceMetrics` that use the lookups; by default that of the process.
    """

    _recorder: Recorder
    _countries: Countries | None
    _feeds: Feeds
    _periodic: Periodic

    def instrumentation_dependencies(self) -> Collection[str]:
        """No required packages: a missing library is reported as a problem of the source."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._recorder = recorder_of(kwargs.get("metrics"))
        wanted = settings.current()
        self._database_path = wanted.geoip_database or ""
        feed_paths = wanted.reputation_feeds
        self._countries = Countries(self._database_path) if self._database_path else None
        self._feeds = Feeds(feed_paths)
        if self._countries is not None:
            self._recorder.security.use_countries(self._countries.country)
        if feed_paths:
            self._recorder.security.use_feeds(self._feeds.matches)
        self._periodic = Periodic("trust-otel addresses", _CHECK_SECONDS, self._read)
        self._periodic.start()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._feeds.close()
        self._periodic.stop()
        if self._countries is not None:
            self._recorder.security.use_countries(None)
            self._countries.close()
            self._recorder.sources.remove_source(self._database_path, kind="geoip")
        if names := self._feeds.sizes():
            self._recorder.security.use_feeds(None)
            for name in names:
                self._recorder.sources.remove_source(name, kind="reputation")

    def _read(self) -> None:
        if self._countries is not None:
            self._recorder.sources.record_source(self._database_path, kind="geoip", problem=_problem(self._countries))
        for name, problem in self._feeds.read_if_changed():
            self._recorder.sources.record_source(name, kind="reputation", problem=problem)


def _problem(countries: Countries) -> str | None:
    try:
        countries.read_if_changed()
    except ValueError as error:
        return str(error)
    return None
