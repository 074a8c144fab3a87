"""Service level objectives: what a site declares about one indicator of its services, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from trust_ops.durations import parse_duration
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import HTTP_SERVER_REQUEST_DURATION, RPC_SERVER_CALL_DURATION
from trust_otel.setting_lists import BadValueError

Indicator = Literal["availability", "latency", "validation"]
Protocol = Literal["http", "grpc"]

HISTOGRAMS: Final[Mapping[Protocol, Metric]] = {
    "http": HTTP_SERVER_REQUEST_DURATION,
    "grpc": RPC_SERVER_CALL_DURATION,
}
"""The histogram that counts the requests or calls of each protocol."""

FAST_BURN: Final[Mapping[str, Decimal]] = {"1h": Decimal("0.02"), "6h": Decimal("0.05")}
"""The share of the error budget that a fast burn uses within each of its long windows."""
SLOW_BURN: Final[Mapping[str, Decimal]] = {"1d": Decimal("0.1"), "3d": Decimal("0.1")}
"""The same for a slow burn."""

_SHORTEST = timedelta(days=3)
# One unit, as in OpenSLO.
_WINDOW = re.compile(r"[1-9][0-9]{0,3}[dw]")
# As for an object in Kubernetes (RFC 1123) and in OpenSLO.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Of a description in OpenSLO.
_LONGEST = 1050


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise BadValueError("use up to 63 lower-case letters, digits and hyphens, such as checkout-latency")
    return text


def _line(text: str) -> str:
    if not text.isprintable() or text != text.strip() or len(text) > _LONGEST:
        raise BadValueError(f"use a single line of up to {_LONGEST} printable characters without spaces at the ends")
    return text


def _text(text: str) -> str:
    if not text:
        raise BadValueError("it is empty; leave it out")
    return _line(text)


def _share(value: float) -> float:
    if not 0 < value < 1:
        raise BadValueError("use a share between 0 and 1, such as 0.999 for 99.9 %")
    return value


def _whole_days(text: str) -> str:
    if not _WINDOW.fullmatch(text) or parse_duration(text) < _SHORTEST:
        raise BadValueError("use whole days, at least 3, such as 14d or 2w")
    return text


Text = Annotated[str, AfterValidator(_text)]


class Objective(BaseModel):
    """One service level objective."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="Unique name: lower-case letters, digits and hyphens. It is the label `slo` of series and alerts."
    )
    description: Annotated[str, AfterValidator(_line)] = Field(default="", description="What it means for the users.")
    service: Text | None = Field(default=None, description="`service.name`. Without it, every service.")
    namespace: Text | None = Field(default=None, description="`service.namespace` of the service. Without it, any.")
    environment: Text | None = Field(
        default=None, description="`deployment.environment.name`. Without it, each environment on its own."
    )
    indicator: Indicator = Field(
        description="What counts as an error. `availability`: a 5xx status, or a gRPC status that is an error of the "
        "server. `latency`: a request or unary call that takes longer than the threshold. `validation`: a validation "
        "of a certificate that ends without a result."
    )
    protocol: Protocol | None = Field(
        default=None, description="`http` or `grpc`: count only requests or only calls. Without it, both."
    )
    http_route: Text | None = Field(
        default=None, description="Count the requests of this route only, as in the label `http_route`."
    )
    grpc_method: Text | None = Field(
        default=None, description="Count the calls of this method only, as in the label `rpc_method`."
    )
    target: Annotated[float, AfterValidator(_share)] = Field(
        description="Share of events without error, such as `0.999`."
    )
    threshold_seconds: float | None = Field(
        default=None, description="For latency: the longest duration without error, a bucket boundary of the histogram."
    )
    window: Annotated[str, AfterValidator(_whole_days)] = Field(
        default="14d", description="Window of the error budget, in whole days: at least 3d, at most the retention."
    )
    page: bool = Field(
        default=True, description="Whether a fast burn raises a critical alert. A slow burn raises a warning."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Objective:
        for problem in (self._scope_problem(), self._threshold_problem(), self._page_problem()):
            if problem is not None:
                raise BadValueError(problem)
        return self

    def _scope_problem(self) -> str | None:
        if self.namespace is not None and self.service is None:
            return "namespace: name the service too"
        if self.indicator == "validation":
            given = [name for name in ("protocol", "http_route", "grpc_method") if getattr(self, name) is not None]
            return f"{', '.join(given)}: a validation is neither a request nor a call; leave it out" if given else None
        if self.http_route is not None and self.grpc_method is not None:
            return "http_route and grpc_method: declare an objective for each"
        for name, protocol in (("http_route", "grpc"), ("grpc_method", "http")):
            if getattr(self, name) is not None and self.protocol == protocol:
                return f"{name}: the protocol is {protocol}"
        return None

    def _threshold_problem(self) -> str | None:
        given = self.threshold_seconds
        if self.indicator != "latency":
            return None if given is None else f"threshold_seconds: {self.indicator} has no threshold; leave it out"
        if given is None:
            return "threshold_seconds: a latency objective needs the longest duration that meets it, in seconds"
        for protocol in self.protocols:
            metric = HISTOGRAMS[protocol]
            if given not in metric.buckets:
                return (
                    f"threshold_seconds: {given:g} is not a bucket boundary of {metric.name}, so slower requests "
                    f"cannot be counted; use {_nearest(given, metric.buckets)} ({_listed(metric.buckets)})"
                )
        return None

    def _page_problem(self) -> str | None:
        too_high = [over for over, limit in self.limits(FAST_BURN).items() if limit >= 1]
        if not self.page or not too_high:
            return None
        return (
            f"target: with {self.target:g} over {self.window}, more than every event would have to fail within "
            f"{too_high[0]} to burn the budget fast; use a higher target, or page: false"
        )

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The protocols whose events count; none for validations."""
        if self.indicator == "validation":
            return ()
        if self.http_route is not None:
            return ("http",)
        if self.grpc_method is not None:
            return ("grpc",)
        return tuple(HISTOGRAMS) if self.protocol is None else (self.protocol,)

    @property
    def budget(self) -> Decimal:
        """The error budget: the share of events that may fail."""
        return 1 - Decimal(str(self.target))

    @property
    def duration(self) -> timedelta:
        """The window as a duration."""
        return parse_duration(self.window)

    def limits(self, shares: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """The share of errors in each long window above which the budget burns too fast.

        At a burn rate of 1 the budget lasts exactly its window. Below that the objective is met, so no limit is lower.
        """
        return {over: self.budget * max(Decimal(1), self._burn_rate(share, over)) for over, share in shares.items()}

    def _burn_rate(self, share: Decimal, over: str) -> Decimal:
        """The burn rate that uses a share of the budget within a long window. 14.4 for 2 % of 30 days in one hour."""
        hour = timedelta(hours=1)
        return share * (self.duration // hour) / (parse_duration(over) // hour)


def _nearest(value: float, boundaries: Sequence[float]) -> str:
    below = [boundary for boundary in boundaries if boundary < value][-1:]
    above = [boundary for boundary in boundaries if boundary > value][:1]
    return " or ".join(f"{boundary:g}" for boundary in (*below, *above))


def _listed(boundaries: Sequence[float]) -> str:
    return ", ".join(f"{boundary:g}" for boundary in boundaries)


REQUIRED_LIMITS: Final = (
    Objective(
        name="availability",
        description="At most 5 % of the requests fail, the required limit.",
        indicator="availability",
        target=0.95,
        page=False,
    ),
    Objective(
        name="latency",
        description="A p95 latency of at most 2 s, the required limit.",
        indicator="latency",
        target=0.95,
        threshold_seconds=2,
        page=False,
    ),
    Objective(
        name="validation",
        description="At most 10 % of the validations end without a result.",
        indicator="validation",
        target=0.9,
        page=False,
    ),
)
"""The objectives of a site that declares none. They agree with the required limits, whose own alerts page."""


def problems(objectives: Sequence[Objective], retention: timedelta) -> Iterator[tuple[int, str, str]]:
    """What is wrong with the objectives of a site together: position of the objective, name of the setting, remedy."""
    names: set[str] = set()
    for position, objective in enumerate(objectives):
        if objective.name in names:
            yield position, "name", "another objective has this name; rename one"
        names.add(objective.name)
        if objective.duration > retention:
            yield (
                position,
                "window",
                f"Prometheus keeps data for {retention.days} days only; use a shorter window, or raise the retention "
                "of Prometheus and `retention` here",
            )
