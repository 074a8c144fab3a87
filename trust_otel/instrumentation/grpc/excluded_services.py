"""Which gRPC services are not measured: OTEL_PYTHON_GRPC_EXCLUDED_SERVICES."""

from __future__ import annotations

from collections.abc import Container, Mapping

_VARIABLE = "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES"


def excluded_methods(environment: Mapping[str, str]) -> Container[object]:
    """The methods of the services, as in OpenTelemetry: full names of services, separated by commas."""
    services = frozenset(name.strip() for name in environment.get(_VARIABLE, "").split(",") if name.strip())
    return _Methods(services) if services else ()


class _Methods:
    def __init__(self, services: frozenset[str]) -> None:
        self._services = services

    def __contains__(self, method: object) -> bool:
        """Whether a method, such as `/grpc.health.v1.Health/Check`, belongs to one of the services."""
        name = method.decode() if isinstance(method, bytes) else str(method)
        return name.strip("/").rpartition("/")[0] in self._services
