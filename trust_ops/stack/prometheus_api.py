"""Client of Prometheus' query API."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

from trust_ops.stack.errors import StackError


class QueryError(StackError):
    """A query failed, or Prometheus is unreachable; the message contains the expression."""


@dataclass(frozen=True)
class Sample:
    """One series of a result: labels (`__name__` among them), value, time (Unix seconds)."""

    labels: Mapping[str, str]
    value: float
    timestamp: float


class PrometheusClient:
    """Queries one Prometheus; `url` as in `Addresses.prometheus`."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        """`timeout` in seconds, per query."""
        # Loopback addresses are reached directly, not through a proxy from the environment.
        self._client = httpx.Client(base_url=url, timeout=timeout, trust_env=False)

    def __enter__(self) -> "PrometheusClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def query(self, expression: str) -> list[Sample]:
        """The result of an instant query, one sample per series. Raises QueryError."""
        data = self._get("/api/v1/query", {"query": expression}, expression)
        kind, result = data["resultType"], data["result"]
        if kind == "vector":
            return [_sample(series["metric"], series["value"]) for series in result]
        if kind == "scalar":
            return [_sample({}, result)]
        raise QueryError(f"the result of {expression} is a {kind}, not an instant vector or scalar")

    def value(self, expression: str) -> float | None:
        """The single value of an expression; None for an empty result.

        Raises QueryError, also when there are several.
        """
        samples = self.query(expression)
        if len(samples) > 1:
            raise QueryError(f"{expression} returned {len(samples)} series, expected one")
        return samples[0].value if samples else None

    def series(self, match: str) -> list[dict[str, str]]:
        """The labels of every stored series that the selector matches. Raises QueryError."""
        data = self._get("/api/v1/series", {"match[]": match}, match)
        return [dict(labels) for labels in data]

    def _get(self, path: str, parameters: dict[str, str], expression: str) -> Any:
        try:
            response = self._client.post(path, data=parameters)
            answer = response.json()
        except httpx.HTTPError as error:
            raise QueryError(f"no response to {expression} from {self._client.base_url}: {error}") from error
        except ValueError as error:
            raise QueryError(f"{expression}: response {response.status_code} is not JSON") from error
        if answer.get("status") != "success":
            raise QueryError(f"{expression}: {answer.get('errorType')}: {answer.get('error')}")
        return answer["data"]


def _sample(labels: Mapping[str, str], point: tuple[float, str]) -> Sample:
    timestamp, value = point
    return Sample(labels=labels, value=float(value), timestamp=float(timestamp))
