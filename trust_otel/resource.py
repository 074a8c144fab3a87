"""The identity of the process: a `service.instance.id` that no other process has."""

from __future__ import annotations

import os

from opentelemetry.sdk.resources import Attributes, Resource, ServiceInstanceIdResourceDetector

INSTANCE_ID = "service.instance.id"

_made: tuple[int, str] = (0, "")


def _suffix() -> str:
    """Random digits that this process keeps, and a forked process does not share.

    Not the process id itself: containers that are given the same id usually have the same process ids too.
    """
    global _made
    process = os.getpid()
    if _made[0] != process:
        _made = process, os.urandom(6).hex()
    return _made[1]


def unique_in_process(resource: Resource) -> Resource:
    """The resource with a `service.instance.id` that differs in every process.

    All workers of a server, and subprocesses, inherit the same id from the environment, a file or a detector. With one
    id they would write the same series, and Prometheus would mix their counters. A given id `<id>` becomes
    `<id>-<12 random hexadecimal digits>`; the id that the SDK generates when none is given is unique already.
    """
    generated = ServiceInstanceIdResourceDetector().detect()
    given = resource.attributes.get(INSTANCE_ID)
    if not given:
        return resource.merge(generated)
    if given == generated.attributes[INSTANCE_ID]:
        return resource
    return _InstanceResource(resource.attributes, resource.schema_url, str(given))


class _InstanceResource(Resource):
    """A resource that keeps the given id in forked processes.

    In a child process, each provider of the SDK merges a newly generated id into its resource, which would replace the
    given one.
    """

    def __init__(self, attributes: Attributes, schema_url: str, given: str) -> None:
        super().__init__({**attributes, INSTANCE_ID: f"{given}-{_suffix()}"}, schema_url)
        self._given = given
        self._suffix = _suffix()

    def merge(self, other: Resource) -> Resource:
        """Merge as any resource; in a child process, the result has the given id with the digits of the child."""
        merged = super().merge(other)
        if self._suffix == _suffix():
            return merged
        return _InstanceResource(merged.attributes, merged.schema_url, self._given)
