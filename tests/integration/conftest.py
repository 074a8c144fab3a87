"""The real Collector, Prometheus and SoftHSM."""

from tests.support.softhsm import softhsm_module  # noqa: F401 - a fixture
from tests.support.stack_fixtures import (  # noqa: F401 - fixtures and a hook
    addresses,
    prometheus,
    pytest_runtest_makereport,
    stack,
)
