"""Nothing that a service passes makes a method raise, breaks a scrape, or breaks an export."""

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


class Refuses:
    """Raises at whatever is asked of it."""

    def _refuse(self, *_: object) -> Any:
        raise LookupError("hostile")

    __bool__ = __eq__ = __hash__ = __str__ = __float__ = __int__ = __len__ = __iter__ = __lt__ = __ge__ = _refuse
    __repr__ = _refuse

    def __getattr__(self, name: str) -> Any:
        raise LookupError("hostile")


class OddMapping(Mapping[Any, Any]):
    """A mapping whose items cannot be had."""

    def __getitem__(self, key: object) -> Any:
        raise RuntimeError("hostile")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("dictionary changed size during iteration")

    def __len__(self) -> int:
        return 1


class Text(str):
    """A text that is not what it seems."""

    def __str__(self) -> str:
        return "x\n" * 1_000_000

    def __hash__(self) -> int:
        raise ValueError("hostile")


class Number(float):
    def __float__(self) -> float:
        raise ZeroDivisionError("hostile")


_MEGABYTES = "ä\n\x00\ud800" * 2_500_000

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
    _MEGABYTES,
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
    {"currency": _MEGABYTES, _MEGABYTES: "x"},
    {"trust.currency": ["EUR"], "country": object()},
    {"currency": Refuses()},
    OddMapping(),
    Refuses(),
    Refuses,
    Text("text"),
    Number(1.0),
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


def _finishing(started: Any, choose: Callable[[], Any]) -> None:
    """Do with what a method returned what its caller may do, with hostile values too."""
    for name in ("message_received", "message_sent"):
        if hasattr(started, name):
            getattr(started, name)()
    if hasattr(started, "fail"):
        with started:
            started.fail(choose())
    if hasattr(started, "finish"):
        parameters = inspect.signature(started.finish).parameters
        arguments = {name: choose() for name in parameters}
        started.finish(**arguments)


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
    started = call(*positional, **named)
    if started is not None:
        _finishing(started, choose)


@pytest.mark.parametrize("method", METHODS)
def test_no_single_hostile_value_raises(recording: Any, method: str) -> None:
    for value in HOSTILE:
        _call(recording.recorder, method, itertools.repeat(value).__next__)


@pytest.mark.parametrize("seed", range(3))
def test_no_mixture_of_hostile_values_raises_or_breaks_what_is_sent(
    recording: Any, parsed: Callable[[str], Mapping[Any, float]], seed: int
) -> None:
    dice = random.Random(seed)
    for _ in range(3000):
        _call(recording.recorder, dice.choice(METHODS), lambda: dice.choice(HOSTILE))
    samples = parsed(scraped(recording))
    assert len(samples) > 100
    assert encode_metrics(recording.collect()).SerializeToString()
    assert sum(recording.dropped().values()) > 1000


@pytest.mark.parametrize("name", _CALLBACKS)
def test_no_callback_raises_into_the_collection(
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


async def test_no_answer_of_a_decorated_handler_raises(recording: Any) -> None:
    for value in HOSTILE:
        handler = recording.metrics.http_request_metrics(route=value, method=value)(lambda argument: argument)
        assert handler(value) is value

        @recording.metrics.http_request_metrics()
        async def coroutine(argument: object) -> object:
            return argument

        assert await coroutine(value) is value


@pytest.mark.parametrize(
    "status", [None, "500", 10**400, float("nan"), True, Refuses()], ids=lambda status: type(status).__name__
)
def test_odd_status_of_an_exception_passes_it_on_unchanged(recording: Any, status: Any) -> None:
    class OddError(Exception):
        status_code = status

    fault = OddError()

    @recording.metrics.http_request_metrics()
    def handler() -> None:
        raise fault

    with pytest.raises(OddError) as raised:
        handler()
    assert raised.value is fault
    assert recording.value("http.server.request.duration", {"http.response.status_code": 500}) == 1
    assert recording.value("http.server.active_requests") == 0
