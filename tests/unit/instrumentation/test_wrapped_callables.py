"""Everything that the instrumentors replace looks and fails like the original."""

import copy
import gc
import inspect
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from importlib import import_module
from types import FunctionType
from typing import Any

import pytest
import wrapt
from fastapi import FastAPI
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from sqlalchemy import create_engine
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from tests.support.replaced_callables import REPLACED, replacement_name
from trust_otel.instrumentation.cryptography import CryptographyInstrumentor
from trust_otel.instrumentation.executors import ExecutorInstrumentor
from trust_otel.instrumentation.grpc import GrpcInstrumentor
from trust_otel.instrumentation.http import HttpInstrumentor
from trust_otel.instrumentation.pkcs11 import Pkcs11Instrumentor
from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor
from trust_otel.patches import set_attribute

# Its stubs lack the classes.
_PKCS11: Any = import_module("pkcs11._pkcs11")

INSTRUMENTORS: tuple[type[BaseInstrumentor], ...] = (
    HttpInstrumentor,
    GrpcInstrumentor,
    SqlAlchemyInstrumentor,
    ExecutorInstrumentor,
    CryptographyInstrumentor,
    Pkcs11Instrumentor,
)


ORIGINALS = {(owner, name): vars(owner)[name] for owner, name in REPLACED}

every_replacement = pytest.mark.parametrize(
    ("owner", "name"), REPLACED, ids=[replacement_name(owner, name) for owner, name in REPLACED]
)


@pytest.fixture
def instrumented(recording: Any) -> Iterator[Any]:
    """The recording of all instrumentors."""
    for instrumentor in INSTRUMENTORS:
        instrumentor().instrument(metrics=recording.metrics, skip_dep_check=True)
    yield recording
    for instrumentor in INSTRUMENTORS:
        instrumentor().uninstrument()


@every_replacement
def test_inspection_is_unchanged(owner: Any, name: str) -> None:
    original = _inspected(getattr(owner, name))
    with _instrumented():
        replacement = getattr(owner, name)
        assert vars(owner)[name] is not ORIGINALS[owner, name]
        assert _inspected(replacement) == original
        assert inspect.unwrap(replacement) is ORIGINALS[owner, name]


@every_replacement
def test_wrong_calls_raise_the_original_error(owner: Any, name: str) -> None:
    calls = _wrong_calls(owner)
    original = [_outcome(getattr(owner, name), *call) for call in calls]
    with _instrumented():
        assert [_outcome(getattr(owner, name), *call) for call in calls] == original


@every_replacement
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda function: pickle.loads(pickle.dumps(function))])
def test_copies_and_pickles_lead_to_the_replacement(owner: Any, name: str, copied: Any) -> None:
    original = getattr(owner, name)
    try:
        expected: type[Exception] | None = None if copied(original) is original else AssertionError
    except Exception as error:  # defined outside an importable module
        expected = type(error)
    with _instrumented():
        replacement = getattr(owner, name)
        if expected is not None:
            with pytest.raises(expected):
                copied(replacement)
        else:
            made = copied(replacement)
            assert made == replacement
            assert type(made) is type(replacement)


@every_replacement
def test_uninstrument_restores_the_original(owner: Any, name: str) -> None:
    with _instrumented():
        pass
    assert vars(owner)[name] is ORIGINALS[owner, name]


@every_replacement
def test_later_wrapper_is_not_removed(owner: Any, name: str) -> None:
    with _instrumented():
        _wrap(owner, name)
        theirs = vars(owner)[name]
    try:
        assert vars(owner)[name] is theirs
    finally:
        set_attribute(owner, name, ORIGINALS[owner, name])


@every_replacement
def test_earlier_wrapper_is_kept_and_looks_the_same(owner: Any, name: str) -> None:
    original = _inspected(getattr(owner, name))
    calls = _wrong_calls(owner)
    wrong = [_outcome(getattr(owner, name), *call) for call in calls]
    _wrap(owner, name)
    theirs = vars(owner)[name]
    try:
        with _instrumented():
            assert _inspected(getattr(owner, name)) == original
            assert [_outcome(getattr(owner, name), *call) for call in calls] == wrong
        assert vars(owner)[name] is theirs
    finally:
        set_attribute(owner, name, ORIGINALS[owner, name])


def test_instrumenting_twice_replaces_once(instrumented: Any) -> None:
    replaced = {(owner, name): vars(owner)[name] for owner, name in REPLACED}
    for instrumentor in INSTRUMENTORS:
        instrumentor().instrument(metrics=instrumented.metrics, skip_dep_check=True)
    assert all(vars(owner)[name] is replaced[owner, name] for owner, name in REPLACED)


class TestCalls:
    """Every form of call, and the errors that it raises."""

    async def test_application_called_by_keyword_and_unbound(self, instrumented: Any) -> None:
        sent: list[Any] = []
        application = Starlette(routes=[Route("/", _refuse)])
        for call in (
            application,
            partial(Starlette.__call__, application),
            partial(Starlette.__call__, self=application),
        ):
            with pytest.raises(_Refused) as caught:
                await call(scope=_scope(), receive=_receive, send=partial(_append, sent))
            assert caught.value is REFUSAL
            assert caught.value.__cause__ is CAUSE
            assert caught.value.__context__ is None

    @pytest.mark.parametrize("call", ["application", "route", "mount"])
    async def test_traceback_has_one_more_frame_per_replacement(self, call: str) -> None:
        route = Route("/", _refuse)
        callee: Any = {
            "application": Starlette(routes=[route]),
            "route": route.handle,
            "mount": Mount("/", routes=[route]).handle,
        }[call]
        plain = await _frames(callee)
        with _instrumented():
            callee = getattr(callee, "__self__", callee)
            callee = callee if call == "application" else callee.handle
            assert await _frames(callee) <= plain + {"application": 3, "route": 1, "mount": 3}[call]

    async def test_context_variables_are_restored(self, instrumented: Any) -> None:
        before = dict(copy_context())
        with pytest.raises(_Refused):
            await Starlette(routes=[Route("/", _refuse)])(_scope(), _receive, partial(_append, []))
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            connection.exec_driver_sql("select 1")
        assert dict(copy_context()) == before

    async def test_invalid_scope_reaches_the_application(self, instrumented: Any) -> None:
        for scope in ({}, {"type": "http"}, {"type": "other"}, None, 5):
            original = await _awaited(ORIGINALS[Starlette, "__call__"], Starlette(), scope)
            assert await _awaited(Starlette.__call__, Starlette(), scope) == original

    async def test_invalid_messages_reach_the_server(self, instrumented: Any) -> None:
        messages = [
            {"type": "http.response.start"},
            {"type": "http.response.body", "body": None},
            {"type": "http.response.body", "body": 5},
            {"type": "unheard.of"},
        ]

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            for message in messages:
                await send(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": None}

        sent: list[Any] = []
        await Starlette(routes=[Mount("/", application)])(_scope(), receive, partial(_append, sent))
        assert sent == messages

    async def test_scope_can_be_copied_and_reused(self, instrumented: Any) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            copy.deepcopy({name: value for name, value in scope.items() if name.startswith("trust_otel")})
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        scope = _scope()
        for _ in range(2):
            await Starlette(routes=[Mount("/", application)])(scope, _receive, partial(_append, []))
        assert not any(name.startswith("trust_otel") for name in scope)
        assert instrumented.value("http.server.active_requests") == 0
        assert instrumented.value("http.server.request.duration") == 2

    async def test_abandoned_request_ends_without_warnings(
        self, instrumented: Any, recwarn: pytest.WarningsRecorder
    ) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()

        def begin() -> Any:
            call = Starlette(routes=[Mount("/", application)])(_scope(), _Never(), partial(_append, []))
            call.send(None)
            return call

        call = copy_context().run(begin)
        call.close()
        del call
        gc.collect()
        assert not list(recwarn)

    def test_subclass_with_another_signature(self, instrumented: Any) -> None:
        class OldStyle(Starlette):
            def __call__(self, scope: Any) -> Any:  # type: ignore[override]
                return partial(super().__call__, scope)

        assert not inspect.iscoroutinefunction(OldStyle().__call__)
        call = OldStyle()(_scope())(_receive, partial(_append, []))
        assert inspect.iscoroutine(call)
        call.close()

    def test_pool_accepts_the_arguments_of_the_standard_library(self, instrumented: Any) -> None:
        pool = ThreadPoolExecutor.__new__(ThreadPoolExecutor)
        ThreadPoolExecutor.__init__(self=pool, max_workers=1)
        assert ThreadPoolExecutor.submit(pool, dict, self=1, fn=2).result() == {"self": 1, "fn": 2}
        ThreadPoolExecutor.shutdown(self=pool, cancel_futures=True)
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown") as caught:
            pool.submit(dict)
        assert len(caught.traceback) == 3  # this one, the replacement and the original

    def test_warnings_of_the_library_show_the_line_of_the_service(self, instrumented: Any) -> None:
        with pytest.warns(Warning, match="root_path") as caught:
            FastAPI(root_path="/behind")
        assert caught[0].filename == __file__


CAUSE = LookupError("cause")


class _Refused(Exception):  # noqa: N818 - no error
    pass


REFUSAL = _Refused("refused")


async def _refuse(request: Any) -> Any:
    raise REFUSAL from CAUSE


class _Never:
    """A `receive` that never returns."""

    def __call__(self) -> Any:
        return self

    def __await__(self) -> Iterator[None]:
        yield


async def _receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _append(sent: list[Any], message: Any) -> None:
    sent.append(message)


def _scope() -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/", "root_path": "", "query_string": b"", "headers": []}


async def _frames(callee: Callable[..., Any]) -> int:
    REFUSAL.__traceback__ = None
    with pytest.raises(_Refused) as caught:
        await callee(_scope(), _receive, partial(_append, []))
    return len(caught.traceback)


async def _awaited(function: Any, application: Any, scope: Any) -> tuple[str, str]:
    try:
        return "returned", repr(await function(application, scope, _receive, partial(_append, [])))
    except Exception as error:
        return type(error).__name__, str(error)


class _instrumented:  # noqa: N801 - used as a function
    """A block with everything instrumented."""

    def __enter__(self) -> None:
        for instrumentor in INSTRUMENTORS:
            instrumentor().instrument(skip_dep_check=True)

    def __exit__(self, *error: object) -> None:
        for instrumentor in INSTRUMENTORS:
            instrumentor().uninstrument()


def _wrap(owner: Any, name: str) -> None:
    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    set_attribute(owner, name, wrapt.FunctionWrapper(vars(owner)[name], call))


_WRONG_CALLS: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    ((), {}),
    ((5,), {}),
    ((5, 5), {}),
    ((5, 5, 5, 5, 5), {}),
    ((5,) * 12, {}),
    ((), {"unheard_of": 5}),
    ((5,), {"unheard_of": 5}),
    ((5,), {"handlers": 5}),
    ((5,), {"interceptors": 5}),
    ((5, ()), {"handlers": ()}),
)


def _wrong_calls(owner: Any) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    # The compiled methods of python-pkcs11 crash with an object of another class.
    compiled = owner in (_PKCS11.Session, _PKCS11.Token, _PKCS11.lib)
    return [call for call in _WRONG_CALLS if not (compiled and call[0])]


def _outcome(function: Any, args: Any, kwargs: Any) -> tuple[str, str]:
    """The result of a call, without awaiting it."""
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        return type(error).__name__, str(error)
    if inspect.iscoroutine(result):
        result.close()
    return "returned", type(result).__name__


def _inspected(function: Any) -> dict[str, Any]:
    kinds = {
        name: test(function) for name, test in inspect.getmembers(inspect) if name.startswith("is") and name in _KINDS
    }
    return {
        **kinds,
        **{name: getattr(function, name, None) for name in ("__name__", "__qualname__", "__module__", "__doc__")},
        "plain function": isinstance(function, FunctionType),
        "signature": inspect.signature(function),
        "arguments": inspect.getfullargspec(function),
        "documentation": inspect.getdoc(function),
        "source": inspect.getsource(function) if inspect.isfunction(function) else None,
    }


_KINDS = {
    "isasyncgenfunction",
    "isbuiltin",
    "isclass",
    "iscoroutinefunction",
    "isfunction",
    "isgeneratorfunction",
    "ismethod",
    "ismethoddescriptor",
    "isroutine",
}
