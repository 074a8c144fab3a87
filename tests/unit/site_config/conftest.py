"""An environment with every required variable, and the files rendered from it."""

from collections.abc import Callable
from typing import Any

import pytest

from trust_ops.site_config import DEFAULTS, Rendered, Site, render

SECRETS_FOLDER = "/etc/alertmanager/secrets"

REQUIRED = {
    "SMTP_HOST": "mail.trust.test:587",
    "SMTP_FROM": "Trust alerts <alerts@trust.test>",
    "SMTP_USERNAME": "alerts",
    "SMTP_PASSWORD": "correct-horse",
    "SLACK_WEBHOOK_DEFAULT": "https://hooks.slack.com/services/T0/B0/default",
    "SLACK_WEBHOOK_SECURITY": "https://hooks.slack.com/services/T0/B0/security",
    "SLACK_WEBHOOK_PLATFORM": "https://hooks.slack.com/services/T0/B0/platform",
    "SLACK_WEBHOOK_BUSINESS": "https://hooks.slack.com/services/T0/B0/business",
    "PAGERDUTY_SECURITY_KEY": "5ec0123456789abcdef0123456789abc",
    "PAGERDUTY_PLATFORM_KEY": "91a0123456789abcdef0123456789abc",
    "PAGERDUTY_ESCALATION_KEY": "e5c0123456789abcdef0123456789abc",
    "SECURITY_EMAIL": "security@trust.test",
    "PLATFORM_EMAIL": "platform@trust.test",
    "BUSINESS_EMAIL": "business@trust.test",
    "COMPLIANCE_EMAIL": "compliance@trust.test",
    "ESCALATION_EMAIL": "senior@trust.test",
}


@pytest.fixture
def required() -> dict[str, str]:
    """Only the 16 variables of the requirements."""
    return dict(REQUIRED)


@pytest.fixture
def rendered() -> Callable[..., Rendered]:
    """Render the required variables with changes, for a site; `None` removes one."""

    def make(*, site: Site = DEFAULTS, **changes: str | None) -> Rendered:
        environment = {name: value for name, value in {**REQUIRED, **changes}.items() if value is not None}
        return render(environment, SECRETS_FOLDER, site)

    return make


@pytest.fixture
def receiver() -> Callable[[Rendered, str], Any]:
    """A receiver of a rendered configuration by its name."""

    def find(rendered: Rendered, name: str) -> Any:
        (found,) = [one for one in rendered.configuration["receivers"] if one["name"] == name]
        return found

    return find
