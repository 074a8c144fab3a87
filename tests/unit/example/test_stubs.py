"""The generated code is up to date with trust.proto."""

from __future__ import annotations

from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_EXAMPLE = _ROOT / "examples" / "trust_service"
_RPC = Path("trust_service", "rpc")


@pytest.mark.parametrize("name", ["trust_pb2.py", "trust_pb2.pyi"])
def test_the_load_generator_has_an_identical_copy_of_the_stubs(name: str) -> None:
    copy = _ROOT / "testbed" / "load_generator" / name
    assert copy.read_text() == (_EXAMPLE / _RPC / name).read_text()


def test_the_service_does_not_mention_opentelemetry() -> None:
    sources = (_EXAMPLE / "trust_service").rglob("*.py")
    assert [path.name for path in sources if "opentelemetry" in path.read_text().lower()] == []
