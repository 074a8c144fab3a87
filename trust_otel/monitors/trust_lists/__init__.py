"""Monitors the lists of trust anchors in TRUST_OTEL_TRUST_LISTS: age, size and signature."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.background import Periodic
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.monitors.trust_lists.content import ReadList
from trust_otel.setting_lists import TrustList
from trust_otel.settings import Settings

if TYPE_CHECKING:
    from trust_otel.monitors.trust_lists.reading import ListSource

__all__ = ["TrustListInstrumentor", "check_lists"]

_logger = logging.getLogger(__name__)

_KIND: Final = "trust_lists"
_SIGNERS: Final = "TRUST_OTEL_TRUST_LIST_SIGNERS"
_MISSING: Final = "the libraries that read them are not installed: pip install 'trust-otel[trust-lists]'"
_NO_LIST: Final = f"{_SIGNERS} names it, but TRUST_OTEL_TRUST_LISTS does not"
_STOP_SECONDS: Final = 12.0
"""Longer than a download."""


class TrustListInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Reads the lists on a background thread.

    `instrument(metrics=...)` sets the `TrustServiceMetrics` that records; by default that of the process.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """No required packages: missing libraries are reported as a problem of the source."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._recorder = recorder_of(kwargs.get("metrics"))
        self._wanted = settings.current()
        self._reasons: dict[str, str | None] = {}
        self._stopped = False
        self._periodic: Periodic | None = None
        sources = _sources(self._wanted)
        for name in _without_list(self._wanted):
            self._record_source(name, _NO_LIST)
        if sources is None:
            for trust_list in self._wanted.trust_lists:
                self._record_source(trust_list.name, _MISSING)
            return
        interval = self._wanted.trust_list_interval
        self._periodic = Periodic("trust-otel-trust-lists", interval, lambda: self._read(sources))
        self._periodic.start()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._stopped = True
        if self._periodic is not None:
            self._periodic.stop(_STOP_SECONDS)
        for name in (*(trust_list.name for trust_list in self._wanted.trust_lists), *_without_list(self._wanted)):
            self._recorder.trust_lists.remove_trust_list(name)
            self._recorder.sources.remove_source(name, kind=_KIND)

    def _read(self, sources: list[ListSource]) -> None:
        for source in sources:
            result = source.read()
            if self._stopped:
                return
            name = source.trust_list.name
            _record(self._recorder, source.trust_list, result)
            self._log_reason(name, result.reason)
            self._record_source(name, result.problem)

    def _record_source(self, name: str, problem: str | None) -> None:
        self._recorder.sources.record_source(name, kind=_KIND, problem=problem)

    def _log_reason(self, name: str, reason: str | None) -> None:
        if reason is not None and self._reasons.get(name) != reason:
            _logger.warning("trust-otel: the signature of the trust list %s is invalid: %s", name, reason)
        self._reasons[name] = reason


def check_lists(wanted: Settings) -> Iterator[tuple[str, ReadList]]:
    """Read every list once, without recording metrics; yields its name and the result."""
    sources = _sources(wanted)
    if sources is None:
        for trust_list in wanted.trust_lists:
            yield trust_list.name, ReadList(problem=_MISSING)
        return
    for source in sources:
        yield source.trust_list.name, source.read()
    for name in _without_list(wanted):
        yield name, ReadList(problem=_NO_LIST)


def _sources(wanted: Settings) -> list[ListSource] | None:
    """The lists, or `None` if a library that reads them is missing."""
    try:
        from trust_otel.monitors.trust_lists.reading import ListSource
    except ImportError:
        return None
    signers = dict(wanted.trust_list_signers)
    return [ListSource(trust_list, signers.get(trust_list.name)) for trust_list in wanted.trust_lists]


def _without_list(wanted: Settings) -> set[str]:
    """The names in TRUST_OTEL_TRUST_LIST_SIGNERS that are no list, such as after a typing error."""
    return {name for name, _ in wanted.trust_list_signers} - {trust_list.name for trust_list in wanted.trust_lists}


def _record(recorder: Recorder, trust_list: TrustList, result: ReadList) -> None:
    if (content := result.content) is not None:
        recorder.trust_lists.set_trust_list(
            trust_list.name,
            list_type=trust_list.type,
            issue_date=content.issue_date,
            next_update=content.next_update,
            sequence_number=content.sequence_number,
            anchors=content.anchors,
        )
    if result.signature is not None:
        recorder.trust_lists.set_trust_list_signature(
            trust_list.name, list_type=trust_list.type, status=result.signature
        )
