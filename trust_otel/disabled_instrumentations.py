"""Which instrumentations OTEL_PYTHON_DISABLED_INSTRUMENTATIONS disables.

An instrumentation of trust-otel replaces several of OpenTelemetry. Each is disabled by its own name and by the names of
those that it replaces. Either name disables both metrics and spans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final

VARIABLE: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"

REPLACED: Final[Mapping[str, tuple[str, ...]]] = {
    "trust_http": ("fastapi", "starlette"),
    "trust_grpc": ("grpc_server", "grpc_client", "grpc_aio_server", "grpc_aio_client"),
    "trust_sqlalchemy": ("sqlalchemy",),
}
"""OpenTelemetry's instrumentations by the one that replaces them."""

_ALL_OF: Final = {"asgi": "trust_http", "grpc": "trust_grpc"}
"""Names for everything that an instrumentation replaces."""


def is_disabled(name: str, environment: Mapping[str, str]) -> bool:
    """Whether an instrumentation is disabled.

    Args:
        name: Its entry point, such as `trust_http` or `fastapi`.
        environment: The environment variables. As upstream, names are separated by commas, blanks around them are
            ignored, upper and lower case differ, `*` disables all, and unknown names are ignored.
    """
    names = {each.strip() for each in environment.get(VARIABLE, "").split(",")}
    names |= {_ALL_OF[each] for each in names & _ALL_OF.keys()}
    name = _ALL_OF.get(name, name)
    if "*" in names or name in names:
        return True
    if name in REPLACED:
        return names.issuperset(REPLACED[name])
    return any(whole in names for whole, parts in REPLACED.items() if name in parts)


def disable(names: Iterable[str], environment: MutableMapping[str, str]) -> None:
    """Disable more instrumentations."""
    given = environment.get(VARIABLE)
    environment[VARIABLE] = ",".join([*([given] if given else []), *names])
