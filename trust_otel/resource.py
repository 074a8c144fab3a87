"""Gives every process its own `service.instance.id`."""

from __future__ import annotations

import os

from opentelemetry.sdk.resources import Attributes, Resource, ServiceInstanceIdResourceDetector

INSTANCE_ID = "service.instance.id"

_generated: tuple[int, str] = (0, "")


def _suffix() -> str:
    """Random digits of this process; a forked process gets others.

    Not the process id: in containers with the same `service.instance.id`, process ids are usually the same too.
    """
    global _generated
    process = os.getpid()
    if _generated[0] != process:
        _generated = process, os.urandom(6).hex()
    return _generated[1]


def unique_in_process(resource: Resource) -> Resource:
    """The resource with a `service.instance.id` that is unique in every process.

    All workers of a server, and subprocesses, inherit the same id from the environment, a file or a detector. With the
    same id they would write the same series, and Prometheus would mix their counters. A configured id `<id>` becomes
    `<id>-<12 random hexadecimal digits>`; the default that the SDK generates is already unique.
    """
    generated = ServiceInstanceIdResourceDetector().detect()
    configured = resource.attributes.get(INSTANCE_ID)
    if not configured:
        return resource.merge(generated)
    if configured == generated.attributes[INSTANCE_ID]:
        return resource
    return _InstanceResource(resource.attributes, resource.schema_url, str(configured))


class _InstanceResource(Resource):
    """A resource that keeps the configured id in forked processes.

    In a child process, each provider of the SDK merges a newly generated id into its resource, which would replace the
    configured one.
    """

    def __init__(self, attributes: Attributes, schema_url: str, configured: str) -> None:
        super().__init__({**attributes, INSTANCE_ID: f"{configured}-{_suffix()}"}, schema_url)
        self._configured = configured
        self._suffix = _suffix()

    def merge(self, other: Resource) -> Resource:
        """Merge two resources; in a child process, the result has the configured id with the digits of the child."""
        merged = super().merge(other)
        if self._suffix == _suffix():
            return merged
        return _InstanceResource(merged.attributes, merged.schema_url, self._configured)
