"""OTEL_PYTHON_DISABLED_INSTRUMENTATIONS takes the names of trust-otel and those of OpenTelemetry."""

from typing import Any, cast

import pytest

from trust_otel import distro
from trust_otel.disabled_instrumentations import REPLACED, VARIABLE, is_disabled

_PARTS = {part: whole for whole, parts in REPLACED.items() for part in parts}


def _disabled(value: str) -> set[str]:
    names = {*REPLACED, *_PARTS, "asgi", "system_metrics", "trust_executors"}
    return {name for name in names if is_disabled(name, {VARIABLE: value})}


@pytest.mark.parametrize(
    ("value", "disabled"),
    [
        ("", set()),
        ("unknown,", set()),
        ("FastAPI", set()),
        ("fastapi", {"fastapi"}),
        ("starlette", {"starlette"}),
        ("starlette , fastapi", {"starlette", "fastapi", "asgi", "trust_http"}),
        ("asgi", {"starlette", "fastapi", "asgi", "trust_http"}),
        ("trust_http", {"starlette", "fastapi", "asgi", "trust_http"}),
        ("sqlalchemy", {"sqlalchemy", "trust_sqlalchemy"}),
        (" trust_sqlalchemy ", {"sqlalchemy", "trust_sqlalchemy"}),
        ("grpc_server,redis", {"grpc_server"}),
        ("grpc_aio_client", {"grpc_aio_client"}),
        ("grpc", {"trust_grpc", "grpc_server", "grpc_client", "grpc_aio_server", "grpc_aio_client"}),
        ("trust_grpc", {"trust_grpc", "grpc_server", "grpc_client", "grpc_aio_server", "grpc_aio_client"}),
        (
            "grpc_server,grpc_client,grpc_aio_server,grpc_aio_client",
            {"trust_grpc", "grpc_server", "grpc_client", "grpc_aio_server", "grpc_aio_client"},
        ),
        ("trust_executors", {"trust_executors"}),
        ("*", {*REPLACED, *_PARTS, "asgi", "system_metrics", "trust_executors"}),
        ("redis,*", {*REPLACED, *_PARTS, "asgi", "system_metrics", "trust_executors"}),
    ],
)
def test_names(value: str, disabled: set[str]) -> None:
    assert _disabled(value) == disabled


def test_without_the_variable_nothing_is_disabled() -> None:
    assert not any(is_disabled(name, {}) for name in (*REPLACED, *_PARTS, "asgi"))


@pytest.mark.parametrize(
    ("value", "name"),
    [(name, name) for name in _PARTS]
    + [(whole, part) for part, whole in _PARTS.items()]
    + [(part, "trust_sqlalchemy") for part in REPLACED["trust_sqlalchemy"]],
)
def test_disabled_instrumentations_are_not_loaded(monkeypatch: pytest.MonkeyPatch, value: str, name: str) -> None:
    loaded = []

    class EntryPoint:
        def load(self) -> Any:
            loaded.append(name)
            raise AssertionError

    monkeypatch.setenv(VARIABLE, value)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    entry_point = EntryPoint()
    entry_point.name = name  # type: ignore[attr-defined]
    distro.TrustDistro().load_instrumentor(cast(Any, entry_point))
    assert loaded == []
