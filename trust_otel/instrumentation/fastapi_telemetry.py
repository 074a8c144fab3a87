"""FastAPI's own telemetry, in the versions that have it."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from inspect import signature
from types import ModuleType
from typing import Any

from trust_otel.patches import Patches

Exclude = Callable[[MutableMapping[str, Any]], bool]
_Telemetry = dict[str, Any]

_PROVIDERS = {"metrics": "meter_provider", "tracing": "tracer_provider", "logs": "logger_provider"}


def turn_off(fastapi: ModuleType) -> None:
    """Turn off the telemetry, because the instrumentation of FastAPI is disabled.

    What the program gives a provider of its own, as in `FastAPI(telemetry={"meter_provider": ...})`, stays on.
    """

    def change(own: _Telemetry) -> None:
        own.update({signal: False for signal, provider in _PROVIDERS.items() if own.get(provider) is None})

    _change(Patches(), fastapi, change)


def spans_only(patches: Patches, fastapi: ModuleType, exclude: Exclude | None) -> None:
    """Turn off the metrics, which have the names of those that trust-otel records.

    Args:
        patches: What replaces and restores.
        fastapi: The module.
        exclude: Which requests have no telemetry; `None` for no request.
    """

    def change(own: _Telemetry) -> None:
        own["metrics"] = False
        if exclude is not None:
            own["exclude"] = _either(own.get("exclude"), exclude)

    _change(patches, fastapi, change)


def _change(patches: Patches, fastapi: ModuleType, change: Callable[[_Telemetry], None]) -> None:
    """Replace `FastAPI.setup`, which the constructor calls last.

    The constructor has a public parameter for this, but if it were wrapped, FastAPI's warnings would show our line
    instead of the service's.
    """
    application = getattr(fastapi, "FastAPI", None)
    if application is None or "telemetry" not in signature(application.__init__).parameters:
        return

    def changing(original: Callable[..., None]) -> Callable[..., None]:
        def setup(self: Any) -> None:
            original(self)
            own = getattr(self, "_telemetry", None)
            if isinstance(own, dict):
                change(own)

        return setup

    patches.replace(application, "setup", changing)


def _either(given: Exclude | None, exclude: Exclude) -> Exclude:
    return exclude if given is None else lambda scope: bool(given(scope)) or exclude(scope)
