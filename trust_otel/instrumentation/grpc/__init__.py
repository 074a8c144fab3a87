"""Metrics of gRPC servers and clients, sync and `grpc.aio`. Spans come from the upstream instrumentation."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from os import environ
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.disabled_instrumentations import is_disabled
from trust_otel.instrumentation.grpc.aio_client import MeasuredAioChannel
from trust_otel.instrumentation.grpc.aio_server import AioServerInterceptor
from trust_otel.instrumentation.grpc.calls import Recording
from trust_otel.instrumentation.grpc.client import MeasuredChannel
from trust_otel.instrumentation.grpc.excluded_services import excluded_methods
from trust_otel.instrumentation.grpc.methods import Methods
from trust_otel.instrumentation.grpc.server import ServerInterceptor
from trust_otel.metrics import recorder_of
from trust_otel.patches import Patches
from trust_otel.security.client_address import TrustedProxies

_Interceptor = type[ServerInterceptor] | type[AioServerInterceptor]
_Change = Callable[[tuple[Any, ...]], tuple[Any, ...]]
_Channel = type[MeasuredChannel] | type[MeasuredAioChannel]


class GrpcInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Measures every server and channel that is created from now on.

    Load it before the upstream instrumentors, so that it is the outermost on servers and the innermost on channels.
    """

    _patches: Patches
    _recording: Recording

    def instrumentation_dependencies(self) -> Collection[str]:
        """Supported versions of the library."""
        return ("grpcio >= 1.60",)

    def _instrument(self, **kwargs: Any) -> None:
        proxies = TrustedProxies(settings.current().trusted_proxies)
        self._recording = Recording(recorder_of(kwargs.get("metrics")), proxies, excluded_methods(environ))
        self._patches = Patches()
        self._measure_servers("grpc_server", grpc, ServerInterceptor)
        self._measure_servers("grpc_aio_server", grpc.aio, AioServerInterceptor)
        self._measure_channels("grpc_client", grpc, MeasuredChannel)
        self._measure_channels("grpc_aio_client", grpc.aio, MeasuredAioChannel)

    def _measure_servers(self, name: str, module: ModuleType, interceptor: _Interceptor) -> None:
        if not is_disabled(name, environ):
            self._patches.replace(module, "server", partial(_measured_server, self._recording, interceptor))

    def _measure_channels(self, name: str, module: ModuleType, measured: _Channel) -> None:
        if not is_disabled(name, environ):
            for function in ("insecure_channel", "secure_channel"):
                self._patches.replace(module, function, partial(_measured_channel, self._recording, measured))

    def _uninstrument(self, **kwargs: Any) -> None:
        self._recording.stop()
        self._patches.restore()


def _measured_server(
    recording: Recording, interceptor: _Interceptor, original: Callable[..., Any]
) -> Callable[..., Any]:
    def server(*args: Any, **kwargs: Any) -> Any:
        recorder = recording.recorder
        if recorder is None:
            return original(*args, **kwargs)
        recorder.rpc.serving = True
        methods = Methods(recorder, recording.excluded)
        positional, named = list(args), dict(kwargs)
        try:
            handlers = _change(positional, named, 1, "handlers", lambda given: given)
            _change(positional, named, 2, "interceptors", lambda given: (interceptor(recording, methods), *given))
        except TypeError:  # not iterable: the original raises its own error
            return original(*args, **kwargs)
        made = original(*positional, **named)
        methods.add_generic(handlers)
        methods.track(made)
        return made

    return server


def _change(positional: list[Any], named: dict[str, Any], index: int, name: str, change: _Change) -> tuple[Any, ...]:
    """Change an argument that is a sequence or `None`, positional or by name; returns the new one.

    Not by `inspect.signature`: the wrappers of the upstream instrumentation have none.
    """
    given = positional[index] if len(positional) > index else named.get(name)
    changed = change(() if given is None else tuple(given))
    if len(positional) > index:
        positional[index] = changed
    else:
        named[name] = changed
    return changed


def _measured_channel(recording: Recording, measured: _Channel, original: Callable[..., Any]) -> Callable[..., Any]:
    def channel(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        return made if recording.recorder is None else measured(made, recording)

    return channel
