"""The HTTP receivers: Slack, PagerDuty, the incident webhook and the dead man's switch webhook."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from testbed.drill.receivers import message_alerts, pagerduty, slack, webhook
from testbed.drill.receivers.outages import Outages
from testbed.drill.receivers.pagerduty_incidents import PagerDutyIncidents
from testbed.drill.receivers.record import Alert, Delivery, Record, Rejection

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Access:
    """Paths and credentials of the channels.

    `slack` maps paths to channels, `pagerduty` maps routing keys to channels.
    """

    slack: Mapping[str, str]
    pagerduty: Mapping[str, str]
    incident_path: str
    incident_token: str
    deadman_path: str


class WebServer:
    """The web application that receives Alertmanager's HTTP notifications."""

    def __init__(self, access: Access, record: Record, outages: Outages, incidents: PagerDutyIncidents) -> None:
        self._access = access
        self._record = record
        self._outages = outages
        self._incidents = incidents
        self._triggered: set[tuple[str, str]] = set()

    def application(self) -> Starlette:
        """The routes."""
        return Starlette(
            routes=[
                Route("/services/{rest:path}", self._slack, methods=["POST"]),
                Route("/v2/enqueue", self._pagerduty, methods=["POST"]),
                Route(self._access.incident_path, self._incident, methods=["POST"]),
                Route(self._access.deadman_path, self._deadman, methods=["POST"]),
                Route("/{rest:path}", self._not_found, methods=["GET", "HEAD", "POST", "PUT"]),
            ]
        )

    async def _slack(self, request: Request) -> Response:
        channel = self._access.slack.get(request.url.path)
        if channel is None:
            self._record.add_problems("slack", ["an unknown webhook"])
            return PlainTextResponse("no_service", 404)
        body = await request.body()
        try:
            message = slack.parse(request.headers.get("content-type", ""), body)
        except slack.SlackError as error:
            self._reject(channel, error.status, [str(error)])
            return PlainTextResponse(str(error), error.status)
        taken = await self._accept(
            request,
            channel,
            lambda: message_alerts.in_slack(message),
            slack.problems(message),
            failed=PlainTextResponse("rollup_error"),
        )
        return taken or PlainTextResponse("ok")

    async def _pagerduty(self, request: Request) -> Response:
        body = await request.body()
        try:
            event = pagerduty.parse(body)
            channel = self._access.pagerduty.get(event["routing_key"])
            if channel is None:
                raise pagerduty.EventError("Event object is invalid", ["Invalid routing key"])
        except pagerduty.EventError as error:
            self._reject("pagerduty", 400, [str(error)])
            invalid = {"status": "invalid event", "message": error.message, "errors": error.errors}
            return JSONResponse(invalid, 400)
        taken = await self._accept(
            request,
            channel,
            lambda: message_alerts.in_pagerduty(event),
            pagerduty.problems(event),
            failed=JSONResponse({"status": "error", "message": "try again later"}),
        )
        if taken is not None:
            return taken
        self._track_incident(channel, event)
        self._incidents.receive(channel, event)
        accepted = {"status": "success", "message": "Event processed", "dedup_key": event.get("dedup_key", "")}
        return JSONResponse(accepted, 202)

    def _track_incident(self, channel: str, event: Mapping[str, str]) -> None:
        incident = (channel, event.get("dedup_key", ""))
        if event["event_action"] == "trigger":
            self._triggered.add(incident)
        elif incident not in self._triggered:
            self._record.add_problems(channel, [f"{event['event_action']} of {incident[1]!r}, never triggered"])

    async def _incident(self, request: Request) -> Response:
        expected = f"Bearer {self._access.incident_token}"
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected.encode()):
            self._reject("webhook:incident", 401, ["not the bearer token"])
            return PlainTextResponse("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})
        return await self._webhook(request, "webhook:incident")

    async def _deadman(self, request: Request) -> Response:
        if "authorization" in request.headers:
            self._record.add_problems("webhook:deadman", ["unexpected authorization header"])
        return await self._webhook(request, "webhook:deadman")

    async def _webhook(self, request: Request, channel: str) -> Response:
        try:
            message = webhook.parse(await request.body())
        except webhook.MessageError as error:
            self._reject(channel, 400, [str(error)])
            return PlainTextResponse(str(error), 400)
        taken = await self._accept(
            request,
            channel,
            lambda: webhook.alerts(message),
            webhook.problems(message),
            failed=PlainTextResponse("try again later"),
        )
        return taken or Response(status_code=200)

    async def _not_found(self, request: Request) -> Response:
        self._record.add_problems("http", [f"{request.method} {request.url.path}: unknown path"])
        return PlainTextResponse("Not Found", 404)

    def _reject(self, channel: str, status: int, problems: list[str]) -> None:
        self._record.add_problems(channel, problems)
        self._record.reject(Rejection(channel, status))

    async def _accept(
        self,
        request: Request,
        channel: str,
        read: Callable[[], tuple[Alert, ...]],
        problems: list[str],
        failed: Response,
    ) -> Response | None:
        """Accept a well-formed notification; returns None, or the error response if it was rejected.

        If the sender has disconnected, the notification is rejected: it will be sent again.
        """
        passing = asyncio.ensure_future(self._outages.wait_while_hanging(channel))
        while not passing.done():
            if await request.is_disconnected():
                passing.cancel()
                self._record.reject(Rejection(channel, None))
                return Response(status_code=499)
            await asyncio.wait([passing], timeout=_POLL_SECONDS)
        failure = passing.result()
        if failure is not None:
            self._record.reject(Rejection(channel, failure.status))
            failed.status_code = failure.status
            if failure.retry_after is not None:
                failed.headers["Retry-After"] = str(failure.retry_after)
            return failed
        alerts = read()
        self._record.add_problems(channel, problems if alerts else [*problems, "shows no alert"])
        self._record.deliver(Delivery(channel, webhook.status(alerts), alerts, await request.body()))
        return None
