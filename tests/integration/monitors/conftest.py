"""Certificates and servers to monitor."""

from tests.unit.monitors.certificates.conftest import authority  # noqa: F401 - a fixture
from tests.unit.monitors.dependencies.conftest import serve  # noqa: F401 - a fixture
