"""HTTP as the simulated people speak it; every answer goes into the totals."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from testbed.load_generator.errors import UnansweredError, UnexpectedAnswerError
from testbed.load_generator.expected_totals import ExpectedTotals
from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Metric

_TIMEOUT_SECONDS = 10
# Shorter than the five seconds of the server: the one who asks must be the one who hangs up.
_KEEP_ALIVE_SECONDS = 2


class Web:
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
        """A client for one request at a time, because httpx looks at every connection that a client has."""
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
        touches: Sequence[Metric] = (),
        path: str | None = None,
        address: str,
        token: str | None = None,
        body: object = None,
    ) -> httpx.Response:
        """Send a request and count it by its route.

        Args:
            method: Method.
            route: Route that the service answers with; empty where it has none.
            expect: Statuses that tell exactly what the service did.
            touches: Metrics beside those of HTTP that the request may change.
            path: Path, where it differs from the route.
            address: Address that the request comes from.
            token: Token of the caller.
            body: Body, sent as JSON.
        """
        headers = {"x-forwarded-for": address}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        try:
            with self._client() as client:
                answer = await client.request(method, path or route, headers=headers, json=body)
        except httpx.TransportError as error:
            self._expected.mark_uncertain(
                metrics.HTTP_SERVER_REQUEST_DURATION, http_request_method=method, http_route=route
            )
            self._mark_uncertain(touches)
            raise UnansweredError(f"{method} {route}: {error!r}") from error
        self._expected.http(method, route, answer.status_code)
        if answer.status_code not in expect:
            self._mark_uncertain(touches)
            raise UnexpectedAnswerError(f"{method} {route}: {answer.status_code} {answer.text[:200]}")
        return answer

    def _mark_uncertain(self, touches: Sequence[Metric]) -> None:
        for metric in touches:
            self._expected.mark_uncertain(metric)


def json_of(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    return body
