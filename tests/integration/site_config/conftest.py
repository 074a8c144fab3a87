"""Settings of the Alertmanager configuration."""

from tests.unit.site_config.conftest import required  # noqa: F401 - a fixture
