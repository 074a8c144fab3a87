"""The real Collector and Prometheus."""

from tests.support.stack_fixtures import (  # noqa: F401 - fixtures and a hook
    addresses,
    prometheus,
    pytest_runtest_makereport,
    stack,
)
