"""Policies of keys in TRUST_OTEL_KEY_POLICY_FILE, read at the start and again when the file changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.metrics import recorder_of
from trust_otel.metrics.key_policy import KeyPolicy, read_key_policies
from trust_otel.metrics.recorder import Recorder
from trust_otel.monitors.declarations import DeclarationsFile


class KeyPolicyInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Compares uses of keys with the policies of a file.

    `instrument(metrics=..., path=...)` sets the `TrustServiceMetrics` that records and the file; by default that of the
    process and TRUST_OTEL_KEY_POLICY_FILE.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """No required packages."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        path = kwargs.get("path") or settings.current().key_policy_file or ""
        self._file = key_policy_file(path, recorder_of(kwargs.get("metrics")))
        self._file.watch()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._file.remove()


def key_policy_file(path: str, recorder: Recorder) -> DeclarationsFile[KeyPolicy]:
    """A file with policies, with which the recorder then compares uses of keys."""
    return DeclarationsFile(path, "key_policy", read_key_policies, recorder.keys.set_key_policies, recorder.sources)
