"""Clients of the service, of which TRUST_OTEL_CLIENT_NAMES lists those that appear by name."""

from __future__ import annotations

from typing import Final

from trust_otel.metrics.family import Family
from trust_otel.metrics.request import Request, current_request
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, PositionalLabels
from trust_otel.semconv.attributes import TRUST_CLIENT_NAME
from trust_otel.semconv.metrics import TRUST_CLIENT_REQUESTS
from trust_otel.settings import Limits

# Those that the alerts count as errors; of the others, the client is the cause.
_FAULTS: Final = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


class ClientMetrics(Family):
    """Requests by client."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._requests = PositionalLabels(
            instruments.counter(TRUST_CLIENT_REQUESTS), TRUST_CLIENT_NAME.name, "trust.outcome"
        )

    @fail_open
    def set_client(self, name: str | None) -> None:
        """Name the client whose request is being answered, HTTP or gRPC.

        The request, the documents that are processed within it and its SLA events then have the client. Without a
        request, or if TRUST_OTEL_CLIENT_NAMES lists nobody, it does nothing.

        Args:
            name: A name that TRUST_OTEL_CLIENT_NAMES lists; any other is `_other`. `None` for nobody.
        """
        request = current_request()
        if request is not None:
            request.client_name = None if name is None else client_label(self._instruments.limits, name)

    @fail_open
    def request_ended(self, request: Request, outcome: str) -> None:
        """Count a request by its client; for instrumentations."""
        self._requests(1, request.client_name, outcome)


def http_outcome(status_code: int | None, error_type: str | None) -> str:
    """Value of `trust.outcome` for a request that ended with this status."""
    if error_type is not None or status_code is None or status_code >= 500:
        return "error"
    return "failure" if status_code >= 400 else "success"


def rpc_outcome(status: str, error_type: str | None) -> str:
    """Value of `trust.outcome` for a gRPC call that ended with this status."""
    if error_type is None and status == "OK":
        return "success"
    return "error" if status in _FAULTS else "failure"


def client_label(limits: Limits, name: object = None) -> str | None:
    """Value of `trust.client.name`; `None` if no clients are listed, or if there is none.

    Args:
        limits: What is listed.
        name: The client; by default that of the request that is being answered.
    """
    if not limits.client_names:
        return None
    if name is None:
        request = current_request()
        return None if request is None else request.client_name
    return name if isinstance(name, str) and name in limits.client_names else TRUST_CLIENT_NAME.other
