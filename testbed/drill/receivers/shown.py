"""Which alerts a notification shows, read from what people see of it.

Slack, PagerDuty and mail carry no labels of their own. What the templates in `monitoring/alertmanager/` show of each
alert in each of them is a link that silences it, and its filter holds the labels. The link of an alert that fires
says that this is to acknowledge it.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

from testbed.drill.receivers import mail, slack
from testbed.drill.receivers.record import Alert, Status

_ADDRESS = r"(?P<link>https?://[^\s<>|\"']+/#/silences/new\?filter=[^\s<>|\"']+)"
_WORDS: dict[str, Status] = {"Acknowledge": "firing", "Silence": "resolved"}
_IN_TEXT = re.compile(rf"^\s*(?P<word>Acknowledge|Silence): {_ADDRESS}\s*$", re.MULTILINE)
_IN_SLACK = re.compile(rf"<{_ADDRESS}\|(?P<word>Acknowledge|Silence)[^>]*>")
_IN_HTML = re.compile(rf"""<a href="{_ADDRESS}"[^>]*>\s*(?P<word>[Aa]cknowledge)\b""")
_MATCHER = re.compile(r'(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>"(?:[^"\\]|\\.)*")')


def in_slack(message: Mapping[str, Any]) -> tuple[Alert, ...]:
    """The alerts in a message to Slack."""
    return _alerts(_IN_SLACK, "\n".join(text for _, text in slack.texts(message)))


def in_pagerduty(event: Mapping[str, Any]) -> tuple[Alert, ...]:
    """The alerts in an event for PagerDuty."""
    details = event.get("payload", {}).get("custom_details", {})
    return tuple(alert for name in ("firing", "resolved") for alert in _alerts(_IN_TEXT, str(details.get(name, ""))))


def in_mail(message: EmailMessage) -> tuple[Alert, ...]:
    """The alerts in a mail."""
    return _alerts(_IN_TEXT, mail.text(message))


def only_in_text(message: EmailMessage) -> Iterator[Mapping[str, str]]:
    """The alerts that fire in the plain alternative of a mail and not in the HTML."""
    both = [labels(found["link"]) for found in _IN_HTML.finditer(mail.html(message))]
    return (alert.labels for alert in in_mail(message) if alert.status == "firing" and alert.labels not in both)


def labels(link: str) -> dict[str, str]:
    """The labels that the filter of a silencing link wants."""
    wanted = unquote(urlsplit(link).fragment.partition("filter=")[2])
    # As Go quotes a text, Python reads it.
    return {found["name"]: literal_eval(found["value"]) for found in _MATCHER.finditer(wanted)}


def _alerts(pattern: re.Pattern[str], text: str) -> tuple[Alert, ...]:
    return tuple(Alert(_WORDS[found["word"]], labels(found["link"])) for found in pattern.finditer(text))
