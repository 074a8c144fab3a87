"""Metrics of gRPC servers and clients, sync and `grpc.aio`. Spans are left to the upstream instrumentation."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import grpc
import grpc.aio
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from wrapt import wrap_function_wrapper

from trust_otel import settings
from trust_otel.instrumentation.grpc.aio_client import MeasuredAioChannel
from trust_otel.instrumentation.grpc.aio_server import AioServerInterceptor
from trust_otel.instrumentation.grpc.calls import Recording
from trust_otel.instrumentation.grpc.client import MeasuredChannel
from trust_otel.instrumentation.grpc.methods import Methods, WatchedServer
from trust_otel.instrumentation.grpc.server import ServerInterceptor
from trust_otel.metrics import get_metrics
from trust_otel.protect.addresses import TrustedProxies

_SERVER_PARAMETERS = ("handlers", "interceptors", "options", "maximum_concurrent_rpcs", "compression", "xds")

_Interceptor = type[ServerInterceptor] | type[AioServerInterceptor]
_Channel = type[MeasuredChannel] | type[MeasuredAioChannel]


class GrpcInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Measures every server and channel that is made from now on.

    Load it before the upstream instrumentors: then it is the outermost on servers and the innermost on channels.
    """

    _recording: Recording
    _wrapped: list[tuple[Any, str, Any]]

    def instrumentation_dependencies(self) -> Collection[str]:
        """What has to be installed."""
        return ("grpcio >= 1.60",)

    def _instrument(self, **kwargs: Any) -> None:
        proxies = TrustedProxies(settings.value("TRUST_OTEL_TRUSTED_PROXIES"))
        self._recording = Recording(kwargs.get("metrics") or get_metrics(), proxies)
        self._wrapped = []
        self._wrap(grpc, "server", partial(_make_server, self._recording, ServerInterceptor))
        self._wrap(grpc.aio, "server", partial(_make_server, self._recording, AioServerInterceptor))
        for name in ("insecure_channel", "secure_channel"):
            self._wrap(grpc, name, partial(_make_channel, self._recording, MeasuredChannel))
            self._wrap(grpc.aio, name, partial(_make_channel, self._recording, MeasuredAioChannel))

    def _uninstrument(self, **kwargs: Any) -> None:
        self._recording.stop()
        for module, name, ours in self._wrapped:
            # Another instrumentation may have wrapped ours in turn; what is beneath it stays, and does nothing.
            if getattr(module, name) is ours:
                setattr(module, name, ours.__wrapped__)

    def _wrap(self, module: Any, name: str, wrapper: Callable[..., Any]) -> None:
        wrap_function_wrapper(module, name, wrapper)
        self._wrapped.append((module, name, getattr(module, name)))


def _make_server(
    recording: Recording,
    interceptor: _Interceptor,
    make: Callable[..., Any],
    _instance: None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if recording.metrics is None:
        return make(*args, **kwargs)
    methods = Methods()
    options = {**kwargs, **dict(zip(_SERVER_PARAMETERS, args[1:], strict=False))}
    options["handlers"] = tuple(options.get("handlers") or ())
    options["interceptors"] = [interceptor(recording, methods), *(options.get("interceptors") or ())]
    server = make(*args[:1], **options)
    methods.add_generic(options["handlers"])
    return WatchedServer(server, methods)


def _make_channel(
    recording: Recording,
    measured: _Channel,
    make: Callable[..., Any],
    _instance: None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    channel = make(*args, **kwargs)
    return channel if recording.metrics is None else measured(channel, recording)
