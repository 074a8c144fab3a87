"""Queries about the past, with limits."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import httpx

from trust_otel.log_safe import url_origin
from trust_otel.urls import parse_url

# Prometheus rejects range queries with more points per series.
_MAX_POINTS: Final = 11_000


class ExplainError(RuntimeError):
    """The alert cannot be explained; the message names the reason and a remedy, for the user."""


class QueryRefusedError(ExplainError):
    """Prometheus did not answer this query, or with too many series; others may still work."""


@dataclass(frozen=True)
class Value:
    """A series of an instant query."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Course:
    """A series of a range query: its samples as Unix times and values."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class LoadedRule:
    """A rule as Prometheus has loaded it."""

    name: str
    is_alert: bool
    expression: str
    labels: Mapping[str, str]


class History:
    """One Prometheus.

    Args:
        url: Its URL; may contain user and password.
        timeout: Seconds for each query.
        max_series: Maximum number of series in a result.
        transport: For tests.
    """

    def __init__(
        self, url: str, *, timeout: float, max_series: int, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Raises ExplainError if `url` is not a URL of Prometheus."""
        parts = parse_url(url, ("http", "https"))
        if parts is None or parts.query or parts.fragment:
            raise ExplainError("--prometheus is not a URL of Prometheus; use one such as http://127.0.0.1:9090")
        self._where = url_origin(url)
        self._timeout = timeout
        self._max_series = max_series
        self._client = httpx.Client(
            base_url=url.rstrip("/"),
            # Prometheus ends the query at its own timeout, which is sent with it, and can still say so.
            timeout=timeout + 5,
            transport=transport,
            # Internal services are reached directly, not through a proxy from the environment.
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def vector(self, expression: str, at: float) -> list[Value]:
        """The result of an instant query. Raises ExplainError; QueryRefusedError if others may still work."""
        data = self._query("/api/v1/query", expression, {"time": f"{at:.3f}"})
        return [Value(each["metric"], float(each["value"][1])) for each in data["result"]]

    def matrix(self, expression: str, begin: float, end: float, step: float) -> list[Course]:
        """The result of a range query; the step is longer if the range needs too many. Raises as `vector`."""
        step = max(step, (end - begin) / (_MAX_POINTS - 1))
        times = {"start": f"{begin:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        data = self._query("/api/v1/query_range", expression, times)
        return [
            Course(each["metric"], [(float(at), float(value)) for at, value in each["values"]])
            for each in data["result"]
        ]

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """The data of another path of the API, such as `/api/v1/targets`. Raises ExplainError."""
        return self._answer("GET", path, parameters)

    def rules(self) -> list[LoadedRule]:
        """The rules that are loaded. Raises ExplainError."""
        data = self._answer("GET", "/api/v1/rules", None)
        try:
            return [
                LoadedRule(rule["name"], rule["type"] == "alerting", rule["query"], rule.get("labels") or {})
                for group in data["groups"]
                for rule in group["rules"]
            ]
        except (KeyError, TypeError) as error:
            raise ExplainError(f"--prometheus {self._where}: the response is not that of Prometheus") from error

    def _query(self, path: str, expression: str, times: Mapping[str, str]) -> Any:
        limits = {"timeout": f"{self._timeout:g}s", "limit": str(self._max_series + 1)}
        data = self._answer("POST", path, {"query": expression, **times, **limits})
        try:
            number = len(data["result"])
        except (KeyError, TypeError) as error:
            raise ExplainError(f"--prometheus {self._where}: the response is not that of Prometheus") from error
        if number > self._max_series:
            raise QueryRefusedError(f"more than {self._max_series} series; raise --max-series")
        return data

    def _answer(self, method: str, path: str, parameters: Mapping[str, str] | None) -> Any:
        try:
            if method == "GET":
                response = self._client.get(path, params=parameters)
            else:
                response = self._client.post(path, data=parameters)
        except httpx.TimeoutException as error:
            raise QueryRefusedError(f"no response within {self._timeout:g} s; raise --timeout") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ExplainError(
                f"--prometheus {self._where} cannot be reached ({type(error).__name__}); set it to the URL of a "
                "Prometheus that runs"
            ) from error
        try:
            answer = response.json()
            if answer["status"] == "success":
                return answer["data"]
            kind, message = str(answer["errorType"]), str(answer["error"])
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            remedy = "add user and password to the URL" if response.status_code == 401 else "check the URL"
            raise ExplainError(
                f"--prometheus {self._where} responded with {response.status_code}, not as Prometheus does; {remedy}"
            ) from error
        remedy = "raise --timeout" if kind in ("timeout", "canceled") else "see the limits of Prometheus (--query.*)"
        raise QueryRefusedError(f"{kind}: {message[:200]}; {remedy}")
