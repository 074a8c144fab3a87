"""A fleet in the storage of a Prometheus: three services in two environments, fifty instances each.

One instance is bad, and one was killed.
"""

from testbed.fleet.services import BAD_INSTANCE, ENVIRONMENTS, GONE_INSTANCE, SERVICES, WITHOUT_ENVIRONMENT, Instance
from testbed.fleet.storage import GONE_SECONDS, RULE_LEVELS, SHOWN_SECONDS, STEP_SECONDS, record, seed

__all__ = [
    "BAD_INSTANCE",
    "ENVIRONMENTS",
    "GONE_INSTANCE",
    "GONE_SECONDS",
    "RULE_LEVELS",
    "SERVICES",
    "SHOWN_SECONDS",
    "STEP_SECONDS",
    "WITHOUT_ENVIRONMENT",
    "Instance",
    "record",
    "seed",
]
