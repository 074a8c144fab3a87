"""Compliance controls that services must check: the setting, and the rules and queries that are made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from trust_ops.durations import parse_duration
from trust_otel.setting_lists import BadValueError

CHECKED: Final = 1
WAITING: Final = -1
OVERDUE: Final = -2
NEVER: Final = -3
IN_TIME: Final = 0.5
"""`CHECKED` in a panel: no whole number, because the panel shows numbers of checks too."""
STATE: Final = "service_control:trust_compliance_required_checks:state"
"""The recorded series with one of these values for each required control of each service."""

_SHORTEST: Final = timedelta(minutes=15)
# With the hour in which the service is looked for, it is within the shortest retention.
_LONGEST: Final = timedelta(days=14)
_MAX_NAME: Final = 200

_SERVICE: Final = "deployment_environment_name, service_namespace, service_name"
_CONTROL: Final = "trust_compliance_framework, trust_compliance_control"
_COUNTER: Final = "trust_compliance_checks_total"
_COMPLETED: Final = f'{_COUNTER}{{trust_outcome!="error"}}'
_COUNTED: Final = "service_control:trust_compliance_completed_checks:increase5m"

_INSTANCES: Final = "service:trust_otel_instances:count"

_GROUP: Final = f"""
  # The controls of `compliance.required_controls` in the site file.
  - name: trust-service.recording.required_controls
    interval: 2m
    rules:
      # A check that ended with an error is not completed. The first check of a process counts.
      - record: {_COUNTED}
        expr: |
          sum by ({_SERVICE}, {_CONTROL}) (
            (
              {_COMPLETED} unless {_COUNTER} offset 5m
              and
              count_over_time({_COUNTER}[5m])
              < ignoring ({_CONTROL}, trust_outcome, service_instance_id) group_left ()
              (
                max without (service_instance_id) (count_over_time(trust_otel_instance_up[5m]))
                + target:trust_otel_instance:seen_from_start1h
              )
            )
            or
            increase({_COMPLETED}[5m])
          ) > 0
      # For each control of each service that reported within a day:
      # {CHECKED}: checked within its age;
      # {OVERDUE}: checked within a week, but not within its age;
      # {NEVER}: not checked, and the service has been running for longer than the age;
      # {WAITING}: not checked yet.
      - record: {STATE}
        expr: |
"""


def _name(text: str) -> str:
    if not text or not text.isprintable() or text != text.strip() or len(text) > _MAX_NAME:
        raise BadValueError(f"use 1 to {_MAX_NAME} printable characters without spaces at the ends")
    return text


def _age(text: str) -> str:
    try:
        fits = _SHORTEST <= parse_duration(text) <= _LONGEST
    except ValueError:
        fits = False
    if not fits:
        raise BadValueError("use a duration from 15m to 14d, such as 1d")
    return text


_Name = Annotated[str, AfterValidator(_name)]


class RequiredControl(BaseModel):
    """A compliance control that services must check."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    framework: _Name = Field(description="Regulation or standard, as in the label `trust_compliance_framework`.")
    control: _Name = Field(description="The control, as in the label `trust_compliance_control`.")
    within: Annotated[str, AfterValidator(_age)] = Field(
        default="1d", description="Greatest age of the last check, from 15m to 14d."
    )
    service: _Name | None = Field(default=None, description="`service.name`. Without it, every service.")
    environment: _Name | None = Field(
        default=None, description="`deployment.environment.name`. Without it, every environment."
    )


def with_required_controls(rules: str, controls: Sequence[RequiredControl]) -> str:
    """The text of the recording rules, with the state of each required control. Without any, it does not change."""
    if not controls:
        return rules
    states = "\nor\n".join(_state(each) for each in controls)
    return rules + _GROUP + "".join(f"          {line}\n" for line in states.splitlines())


def states_of_panel(labels: str) -> str:
    """PromQL for a panel: the worst state of the required controls by these labels; `IN_TIME` if none is below 0."""
    worst = f'min by ({labels}) ({STATE}{{deployment_environment_name="$environment", service_name=~"$service"}})'
    return f"{worst} < 0 or {worst} * {IN_TIME:g}"


def problems(controls: Sequence[RequiredControl]) -> Iterator[tuple[int, str]]:
    """The position of each control that an earlier entry already requires of the same service, and the remedy."""
    for position, each in enumerate(controls):
        for earlier in controls[:position]:
            same = (earlier.framework, earlier.control) == (each.framework, each.control)
            if same and _overlap(earlier.service, each.service) and _overlap(earlier.environment, each.environment):
                yield position, "an earlier entry requires it of the same service; remove one, or name the services"
                break


def _overlap(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _state(required: RequiredControl) -> str:
    framework, control = _quoted(required.framework), _quoted(required.control)
    checks = f"{_COUNTED}{{trust_compliance_framework={framework}, trust_compliance_control={control}}}"
    scope = (("service_name", required.service), ("deployment_environment_name", required.environment))
    matchers = ", ".join(f"{label}={_quoted(value)}" for label, value in scope if value is not None)
    within = required.within
    return f"""\
label_replace(
  label_replace(
    (
      max by ({_SERVICE}) (max_over_time({checks}[{within}])) {_as(CHECKED)}
      or
      max by ({_SERVICE}) (max_over_time({checks}[1w])) {_as(OVERDUE)}
      or
      last_over_time({_INSTANCES}[1h] offset {within}) {_as(NEVER)}
      or
      last_over_time({_INSTANCES}[1d]) {_as(WAITING)}
    )
    and on ({_SERVICE})
    last_over_time({_INSTANCES}{f"{{{matchers}}}" if matchers else ""}[1d]),
    "trust_compliance_framework", {_replacement(framework)}, "", ""
  ),
  "trust_compliance_control", {_replacement(control)}, "", ""
)"""


def _as(state: int) -> str:
    return f"* 0 {'+' if state > 0 else '-'} {abs(state)}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _replacement(quoted: str) -> str:
    """As the replacement of a regular expression, in which a dollar sign refers to a group."""
    return quoted.replace("$", "$$")
