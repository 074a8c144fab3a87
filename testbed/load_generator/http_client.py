"""HTTP client that adds every response to the expected totals."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from testbed.load_generator.errors import NoResponseError, UnexpectedResponseError
from testbed.load_generator.expected_totals import ExpectedTotals
from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Metric

_TIMEOUT_SECONDS = 10
# Shorter than the server's five seconds, so that the client closes idle connections first.
_KEEP_ALIVE_SECONDS = 2


class HttpClient:
    def __init__(self, url: str, expected: ExpectedTotals) -> None:
        self.url = url
        self._expected = expected
        self._ssl = ssl.create_default_context()
        self._clients: list[httpx.AsyncClient] = []
        self._free: list[httpx.AsyncClient] = []

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    @contextmanager
    def _client(self) -> Iterator[httpx.AsyncClient]:
        """A client for one request at a time, because httpx checks all connections of a client for each request."""
        client = self._free.pop() if self._free else self._new_client()
        try:
            yield client
        finally:
            self._free.append(client)

    def _new_client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(keepalive_expiry=_KEEP_ALIVE_SECONDS)
        client = httpx.AsyncClient(
            base_url=self.url, timeout=_TIMEOUT_SECONDS, limits=limits, verify=self._ssl, trust_env=False
        )
        self._clients.append(client)
        return client

    async def send(
        self,
        method: str,
        route: str,
        *,
        expect: Sequence[int],
        affected: Sequence[Metric] = (),
        path: str | None = None,
        address: str,
        token: str | None = None,
        body: object = None,
        content: bytes | None = None,
        content_type: str | None = None,
    ) -> httpx.Response:
        """Send a request and add it to the expected totals by its route.

        Args:
            method: HTTP method.
            route: Route of the service; empty for an unknown path.
            expect: Statuses that determine the outcome.
            affected: Metrics besides HTTP's that the request may change.
            path: Path, if it differs from the route.
            address: Client address.
            token: Bearer token.
            body: JSON body.
            content: Body of another type.
            content_type: Its type.
        """
        headers = {"x-forwarded-for": address}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        if content_type is not None:
            headers["content-type"] = content_type
        try:
            with self._client() as client:
                response = await client.request(method, path or route, headers=headers, json=body, content=content)
        except httpx.TransportError as error:
            self._expected.mark_uncertain(
                metrics.HTTP_SERVER_REQUEST_DURATION, http_request_method=method, http_route=route
            )
            self._mark_uncertain(affected)
            raise NoResponseError(f"{method} {route}: {error!r}") from error
        self._expected.http(method, route, response.status_code)
        if response.status_code not in expect:
            self._mark_uncertain(affected)
            raise UnexpectedResponseError(f"{method} {route}: {response.status_code} {response.text[:200]}")
        return response

    def _mark_uncertain(self, affected: Sequence[Metric]) -> None:
        for metric in affected:
            self._expected.mark_uncertain(metric)


def json_of(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    return body
