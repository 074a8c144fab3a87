"""No argument makes a method raise, or breaks a scrape or an OTLP export."""

import inspect
import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

from tests.collected import scraped
from tests.recorder_methods import NAMES, method_of
from trust_otel.metrics.database import PoolState
from trust_otel.metrics.executor import ExecutorState
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.rpc import RpcCall, RpcMethod


class RaisesOnEveryAccess:
    """Raises on every operation and attribute access."""

    def _raise(self, *_: object) -> Any:
        raise LookupError("hostile")

    __bool__ = __eq__ = __hash__ = __str__ = __float__ = __int__ = __len__ = __iter__ = __lt__ = __ge__ = _raise
    __repr__ = _raise

    def __getattr__(self, name: str) -> Any:
        raise LookupError("hostile")


class RaisingMapping(Mapping[Any, Any]):
    """A mapping that raises on iteration and look-up."""

    def __getitem__(self, key: object) -> Any:
        raise RuntimeError("hostile")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("dictionary changed size during iteration")

    def __len__(self) -> int:
        return 1


class InconsistentString(str):
    """A string with a different, huge `str()` that raises when hashed."""

    def __str__(self) -> str:
        return "x\n" * 1_000_000

    def __hash__(self) -> int:
        raise ValueError("hostile")


class RaisingFloat(float):
    """A float that raises when converted."""

    def __float__(self) -> float:
        raise ZeroDivisionError("hostile")


_TEN_MILLION_CHARACTERS = "ä\n\x00\ud800" * 2_500_000

HOSTILE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    200,
    10**400,
    -(10**400),
    2**63,
    0.0,
    -0.0,
    -1.5,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
    Decimal("1.5"),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("1e999999"),
    Fraction(1, 3),
    Fraction(10**400),
    1j,
    "",
    " ",
    "GET",
    "DE",
    "validation",
    "server",
    "192.0.2.7",
    "fe80::1%eth0",
    "::ffff:192.0.2.7",
    "a\nb",
    'quote " and \\ and {}',
    "\x00",
    "\ud800",
    "\udcff\udcfe",
    "\u2028",
    "🎉" * 1000,
    _TEN_MILLION_CHARACTERS,
    "9" * 100_000,
    b"\xff\xfe",
    bytearray(b"x"),
    memoryview(b"x"),
    [],
    ["a"],
    (),
    ("a", "b"),
    {},
    {"currency": "EUR"},
    {1: 2},
    {None: None},
    {"currency": _TEN_MILLION_CHARACTERS, _TEN_MILLION_CHARACTERS: "x"},
    {"trust.currency": ["EUR"], "country": object()},
    {"currency": RaisesOnEveryAccess()},
    RaisingMapping(),
    RaisesOnEveryAccess(),
    RaisesOnEveryAccess,
    InconsistentString("text"),
    RaisingFloat(1.0),
    object(),
    ValueError("x"),
    ValueError,
    datetime(2030, 1, 1),
    datetime(2030, 1, 1, tzinfo=timezone.utc),
    datetime.max,
    datetime.min,
    datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),
    timedelta(1),
    iter(["a"]),
    lambda: 1,
    len,
]


def _use(returned: Any, choose: Callable[[], Any]) -> None:
    """Use the object that a method returned as a caller may, with hostile values."""
    if isinstance(returned, RpcMethod):
        returned.received(1)
        returned.sent(1)
        returned = RpcCall(returned)
    if hasattr(returned, "fail"):
        with returned:
            returned.fail(choose())
    if hasattr(returned, "finish"):
        parameters = inspect.signature(returned.finish).parameters
        arguments = {name: choose() for name in parameters}
        returned.finish(**arguments)


_CALLBACKS = ("observe_connection_pools", "observe_executors")
_DECORATORS = ("http_request_metrics",)
METHODS = sorted(NAMES - {*_CALLBACKS, *_DECORATORS})


def _call(recorder: Recorder, method: str, choose: Callable[[], Any]) -> None:
    call = method_of(recorder, method)
    positional, named = [], {}
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            named[parameter.name] = choose()
        else:
            positional.append(choose())
    returned = call(*positional, **named)
    if returned is not None:
        _use(returned, choose)


@pytest.mark.parametrize("method", METHODS)
def test_method_does_not_raise_on_hostile_arguments(recording: Any, method: str) -> None:
    for value in HOSTILE:
        _call(recording.recorder, method, itertools.repeat(value).__next__)


@pytest.mark.parametrize("seed", range(3))
def test_random_hostile_calls_do_not_raise_or_break_scrape_or_export(
    recording: Any, parsed: Callable[[str], Mapping[Any, float]], seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(3000):
        _call(recording.recorder, rng.choice(METHODS), lambda: rng.choice(HOSTILE))
    samples = parsed(scraped(recording))
    assert len(samples) > 100
    assert encode_metrics(recording.collect()).SerializeToString()
    assert sum(recording.dropped().values()) > 1000


@pytest.mark.parametrize("name", _CALLBACKS)
def test_hostile_observations_do_not_break_collection(
    recording: Any, caplog: pytest.LogCaptureFixture, parsed: Callable[[str], Mapping[Any, float]], name: str
) -> None:
    state = {"observe_connection_pools": PoolState, "observe_executors": ExecutorState}[name]
    arguments = len(inspect.signature(state).parameters)
    observe = method_of(recording.recorder, name)
    for value in HOSTILE:
        observe(lambda value=value: value)
        observe(lambda value=value: [state(*[value] * arguments)])
    parsed(scraped(recording))
    assert encode_metrics(recording.collect()).SerializeToString()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_decorated_handler_returns_hostile_values_unchanged(recording: Any) -> None:
    for value in HOSTILE:
        handler = recording.metrics.http_request_metrics(route=value, method=value)(lambda argument: argument)
        assert handler(value) is value

        @recording.metrics.http_request_metrics()
        async def coroutine(argument: object) -> object:
            return argument

        assert await coroutine(value) is value


@pytest.mark.parametrize(
    "status",
    [None, "500", 10**400, float("nan"), True, RaisesOnEveryAccess()],
    ids=lambda status: type(status).__name__,
)
def test_exception_with_invalid_status_code_is_reraised_and_counted_as_500(recording: Any, status: Any) -> None:
    class InvalidStatusError(Exception):
        status_code = status

    error = InvalidStatusError()

    @recording.metrics.http_request_metrics()
    def handler() -> None:
        raise error

    with pytest.raises(InvalidStatusError) as raised:
        handler()
    assert raised.value is error
    assert recording.value("http.server.request.duration", {"http.response.status_code": 500}) == 1
    assert recording.value("http.server.active_requests") == 0
