"""State of tokens, with a module that stands in for that of an HSM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from trust_otel.instrumentation.pkcs11 import tokens
from trust_otel.instrumentation.pkcs11.module import TokenInfo
from trust_otel.instrumentation.pkcs11.tokens import Tokens

MEMORY = "trust.pkcs11.token.memory.free"


@dataclass
class _Slot:
    slot_id: int = 7


@dataclass
class _Token:
    label: str = "hsm"
    slot: _Slot = field(default_factory=_Slot)


@dataclass
class _Session:
    handle: int
    token: _Token = field(default_factory=_Token)


class _Module:
    """Answers as an HSM with a limit, after a number of seconds."""

    info: TokenInfo | None = TokenInfo(max_sessions=10, free_memory={"private": 1000})
    seconds = 0.0
    read: list[str]
    clock: list[float]

    def __init__(self, path: str) -> None:
        self.read.append(path)

    def token(self, slot_id: int) -> TokenInfo | None:
        assert slot_id == 7
        self.clock[0] += self.seconds
        return self.info

    def slots(self) -> dict[str, int]:
        return {"token": 1, "empty": 2}

    def close(self) -> None:
        pass


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> type[_Module]:
    class Module(_Module):
        read: list[str] = []  # noqa: RUF012
        clock = [1000.0]  # noqa: RUF012

    monkeypatch.setattr(tokens, "Module", Module)
    monkeypatch.setattr(tokens, "perf_counter", lambda: Module.clock[0])
    return Module


@pytest.fixture
def watched(recording: Any, module: type[_Module]) -> Tokens:
    watched = Tokens(recording.recorder)
    watched.loaded("/opt/hsm.so")
    watched.opened(_Session(1))
    return watched


def test_sessions_limit_and_memory_are_shown(recording: Any, watched: Tokens) -> None:
    watched.read_if_due(_Token())
    assert recording.value("trust.pkcs11.session.count") == 1
    assert recording.value("trust.pkcs11.session.max") == 10
    assert recording.value(MEMORY, {"trust.pkcs11.memory.type": "private"}) == 1000
    assert recording.value("trust.pkcs11.slot.count", {"trust.pkcs11.slot.state": "empty"}) == 2


def test_module_is_read_every_15_seconds(watched: Tokens, module: type[_Module]) -> None:
    for seconds in (0, 14.9, 0.1, 14):
        module.clock[0] += seconds
        watched.read_if_due(_Token())
    assert len(module.read) == 2


def test_slow_module_is_read_ten_minutes_later(watched: Tokens, module: type[_Module]) -> None:
    module.seconds = 1.5
    watched.read_if_due(_Token())
    module.clock[0] += 599
    watched.read_if_due(_Token())
    assert len(module.read) == 1
    module.clock[0] += 2
    watched.read_if_due(_Token())
    assert len(module.read) == 2


def test_reading_of_five_minutes_ago_says_nothing_about_slots_and_memory(
    recording: Any, watched: Tokens, module: type[_Module]
) -> None:
    watched.read_if_due(_Token())
    module.clock[0] += 301
    assert recording.series("trust.pkcs11.slot.count") == recording.series(MEMORY) == []
    assert recording.value("trust.pkcs11.session.max") == 10


def test_of_several_modules_none_is_read(watched: Tokens, module: type[_Module]) -> None:
    watched.loaded("/opt/other.so")
    watched.read_if_due(_Token())
    assert module.read == []


def test_unloaded_module_is_not_read(
    recording: Any, watched: Tokens, module: type[_Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "__init__", _unloaded)
    watched.read_if_due(_Token())
    assert recording.series("trust.pkcs11.slot.count") == []
    assert recording.dropped() == {}


def _unloaded(*_: object) -> None:
    raise OSError("not loaded")
