"""The service's function in a handler, which gRPC calls the behavior."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, isasyncgenfunction, isawaitable, iscoroutinefunction
from typing import Any, Final

from wrapt import FunctionWrapper

# Attributes of the function that determine how a server of `grpc` calls it.
_CALLING_CONVENTIONS: Final = ("experimental_non_blocking", "experimental_thread_pool")

_LOOKS: Final = ("__name__", "__qualname__", "__module__", "__doc__", *_CALLING_CONVENTIONS)

_KINDS: Final = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR


class Behavior:
    """What is known of a handler, read once for the handler that a server has for a method.

    Attributes:
        handler: The handler.
        request_streaming: Whether the function gets any number of requests.
        response_streaming: Whether it returns any number of responses.
        attribute: Name of the handler's attribute that holds the function, such as `unary_unary`.
        function: The function.
        deserializer: Converts a request; `None` when the function gets the bytes.
        serializer: Converts a response; `None` when the function returns bytes.
    """

    def __init__(self, handler: Any) -> None:
        self.handler = handler
        self.request_streaming = bool(handler.request_streaming)
        self.response_streaming = bool(handler.response_streaming)
        requests = "stream" if self.request_streaming else "unary"
        self.attribute = f"{requests}_{'stream' if self.response_streaming else 'unary'}"
        self.function: Callable[..., Any] = getattr(handler, self.attribute)
        self.deserializer: Callable[[bytes], Any] | None = handler.request_deserializer
        self.serializer: Callable[[Any], bytes] | None = handler.response_serializer
        self._looks = {name: getattr(self.function, name) for name in _LOOKS if hasattr(self.function, name)}
        self._looks["__wrapped__"] = self.function
        code = getattr(self.function, "__code__", None)
        self._kind: int | None = None if code is None else code.co_flags & _KINDS

    @property
    def non_blocking(self) -> bool:
        """Whether a server of `grpc` passes the function another one, which sends responses."""
        return self.response_streaming and bool(self._looks.get("experimental_non_blocking"))

    @cached_property
    def is_async_generator(self) -> bool:
        """Whether a server of `grpc.aio` iterates over what the function returns."""
        return isasyncgenfunction(self.function)

    @cached_property
    def is_coroutine(self) -> bool:
        """Whether a server of `grpc.aio` awaits what the function returns."""
        return iscoroutinefunction(self.function) or isawaitable(self.function)

    def replaced_by(self, measured: Callable[..., Any], call: object) -> Callable[..., Any]:
        """A function that looks like the service's, and calls `measured` with the call before its own arguments."""
        replacement = partial(measured, call)
        if self._kind is not None and self._kind != measured.__code__.co_flags & _KINDS:
            return FunctionWrapper(
                self.function, lambda _function, _instance, args, kwargs: replacement(*args, **kwargs)
            )
        # All calls share it: `functools.update_wrapper` takes half as long as a whole call.
        replacement.__dict__ = self._looks
        return replacement
