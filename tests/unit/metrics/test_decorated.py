"""Decorated functions behave like the originals in introspection, binding, errors, copying and pickling."""

import asyncio
import copy
import functools
import gc
import inspect
import pickle
import warnings
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing
from contextvars import copy_context
from types import FunctionType
from typing import Any

import pytest

from trust_otel.metrics import get_metrics

DECORATORS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "http_request_metrics": lambda metrics: metrics.http_request_metrics(),
    "certificate_operation": lambda metrics: metrics.certificate_operation("validation"),
    "document_processing": lambda metrics: metrics.document_processing("passport"),
}

every_decorator = pytest.mark.parametrize("name", DECORATORS)


def plain(first: int, /, second: str = "2", *rest: object, third: bytes = b"3", **others: object) -> Any:
    """Documentation."""
    return first, second, rest, third, others


async def coroutine(first: int, second: str = "2", *, third: bytes = b"3") -> Any:
    """Documentation."""
    await asyncio.sleep(0)
    return first, second, third


def generator(first: int, second: str = "2") -> Generator[Any, Any, str]:
    """Documentation."""
    received = yield first
    try:
        yield received
    except LookupError as error:
        yield error
    return second


async def stream(first: int, second: str = "2") -> AsyncIterator[Any]:
    """Documentation."""
    received = yield first
    try:
        yield received
    except LookupError as error:
        yield error


FUNCTIONS = (plain, coroutine, generator, stream)

every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)


@get_metrics().certificate_operation("validation")
def importable(argument: object) -> object:
    return argument


class Importable:
    @staticmethod
    @get_metrics().http_request_metrics()
    def static(argument: object) -> object:
        return argument


@every_decorator
@every_function
def test_introspection_matches_the_original(recording: Any, name: str, function: Any) -> None:
    measured = DECORATORS[name](recording.metrics)(function)

    for test in (
        inspect.isfunction,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.isroutine,
        inspect.signature,
        inspect.getfullargspec,
        inspect.getdoc,
        inspect.getsource,
        inspect.unwrap,
        lambda function: isinstance(function, FunctionType),
        lambda function: (function.__name__, function.__qualname__, function.__module__),
        lambda function: (function.__code__, function.__defaults__, function.__kwdefaults__),
    ):
        assert test(measured) == test(function)


@every_decorator
@every_function
@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3, 4), {"first": 1}), ((1,), {"first": 2}), ((1,), {"unknown": 1})]
)
@pytest.mark.parametrize("form", ["function", "partial"])
def test_wrong_arguments_raise_the_same_error_at_call_time(
    recording: Any, name: str, function: Any, args: Any, kwargs: Any, form: str
) -> None:
    if form == "partial":
        function = functools.partial(function)
    measured = DECORATORS[name](recording.metrics)(function)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _outcome(measured, args, kwargs) == _outcome(function, args, kwargs)
        gc.collect()


@every_decorator
async def test_generators_forward_send_and_throw(recording: Any, name: str) -> None:
    measured = DECORATORS[name](recording.metrics)
    error = LookupError("thrown")

    items: Any = measured(generator)(1)
    assert [next(items), items.send("sent"), items.throw(error)] == [1, "sent", error]
    with pytest.raises(StopIteration) as stopped:
        next(items)
    assert stopped.value.value == "2"

    async with aclosing(measured(stream)(1)) as async_items:
        assert await async_items.__anext__() == 1
        assert await async_items.asend("sent") == "sent"
        assert await async_items.athrow(error) is error
        with pytest.raises(StopAsyncIteration):
            await async_items.__anext__()


@every_decorator
async def test_context_variables_are_restored(recording: Any, name: str) -> None:
    measured = DECORATORS[name](recording.metrics)
    before = dict(copy_context())

    measured(plain)(1)
    await measured(coroutine)(1)
    for _ in measured(generator)(1):
        assert dict(copy_context()) == before
    async for _ in measured(stream)(1):
        assert dict(copy_context()) == before
    assert dict(copy_context()) == before


@every_decorator
async def test_exceptions_keep_their_identity_and_cause(recording: Any, name: str) -> None:
    error, cause = ValueError("refused"), LookupError("cause")

    def refuse() -> None:
        raise error from cause

    async def refuse_later() -> None:
        raise error from cause

    measured = DECORATORS[name](recording.metrics)
    for call in (measured(refuse), lambda: asyncio.run(measured(refuse_later)())):
        with pytest.raises(ValueError, match="refused") as caught:
            await asyncio.to_thread(call)
        assert caught.value is error
        assert caught.value.__cause__ is cause
        assert caught.value.__context__ is None
        error.__traceback__ = None


@every_decorator
def test_unawaited_coroutine_warns_once_with_its_name(recording: Any, name: str) -> None:
    measured = DECORATORS[name](recording.metrics)(coroutine)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        measured(1).close()
        assert not caught
        measured(1)
        gc.collect()
    assert [str(warning.message) for warning in caught] == ["coroutine 'coroutine' was never awaited"]


@every_decorator
def test_instance_static_and_class_methods_bind(recording: Any, name: str) -> None:
    decorate = DECORATORS[name](recording.metrics)

    class Service:
        @decorate
        def method(self, argument: object) -> object:
            return self, argument

        @decorate
        @staticmethod
        def inner_static(argument: object) -> object:
            return argument

        @staticmethod
        @decorate
        def outer_static(argument: object) -> object:
            return argument

        @decorate
        @classmethod
        def inner_class(cls, argument: object) -> object:
            return cls, argument

        @classmethod
        @decorate
        def outer_class(cls, argument: object) -> object:
            return cls, argument

    service = Service()
    assert service.method(1) == Service.method(service, 1) == Service.method(self=service, argument=1) == (service, 1)
    assert service.inner_static(1) == Service.outer_static(1) == 1
    assert service.inner_class(1) == Service.outer_class(1) == (Service, 1)
    assert inspect.ismethod(service.method)


@every_decorator
async def test_callable_objects_can_be_decorated(recording: Any, name: str) -> None:
    decorate = DECORATORS[name](recording.metrics)

    class Plain:
        attribute = 1

        def __call__(self, argument: object) -> object:
            return argument

    class Asynchronous:
        async def __call__(self, argument: object) -> object:
            return argument

    assert decorate(Plain())(1) == decorate(Plain()).attribute == 1
    measured = decorate(Asynchronous())
    assert inspect.iscoroutinefunction(measured)
    assert await measured(1) == 1
    assert decorate(len)("12") == 2


@pytest.mark.parametrize("function", [importable, Importable.static], ids=["function", "static method"])
def test_importable_functions_can_be_copied_and_pickled(function: Any) -> None:
    assert copy.copy(function) is copy.deepcopy(function) is function
    assert pickle.loads(pickle.dumps(function)) == function
    assert pickle.loads(pickle.dumps(function))(5) == 5


def test_streaming_handler_is_active_until_the_stream_ends(recording: Any) -> None:
    @recording.metrics.http_request_metrics(route="/lines", method="GET")
    def lines() -> Iterator[str]:
        yield "a"
        yield "b"

    answer = lines()
    assert next(answer) == "a"
    assert recording.value("http.server.active_requests") == 1
    answer.close()
    assert recording.value("http.server.active_requests") == 0
    assert list(lines()) == ["a", "b"]
    assert recording.value("http.server.request.duration", {"http.response.status_code": 200}) == 2


def test_http_method_is_read_from_a_request_keyword_argument(recording: Any) -> None:
    class FakeRequest:
        method = "PUT"

    @recording.metrics.http_request_metrics(route="/documents")
    def handle(request: FakeRequest) -> None:
        pass

    handle(request=FakeRequest())
    assert recording.value("http.server.request.duration", {"http.request.method": "PUT"}) == 1


def _outcome(function: Any, args: Any, kwargs: Any) -> tuple[str, str]:
    """Immediate result of a call, without awaiting or iterating it: ("returned", type) or ("failed", message)."""
    try:
        result = function(*args, **kwargs)
    except TypeError as error:
        return "failed", str(error)
    if inspect.iscoroutine(result):
        result.close()
    return "returned", type(result).__name__
