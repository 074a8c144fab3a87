"""Reads the alerts from the messages to Slack, PagerDuty and mail.

These have no label fields. The templates in `monitoring/alertmanager/` add a silence link for each alert, whose filter
contains the labels. The link is named "Acknowledge" for a firing alert and "Silence" for a resolved one.
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
    """The alerts in a Slack message."""
    return _alerts(_IN_SLACK, "\n".join(text for _, text in slack.texts(message)))


def in_pagerduty(event: Mapping[str, Any]) -> tuple[Alert, ...]:
    """The alerts in a PagerDuty event."""
    details = event.get("payload", {}).get("custom_details", {})
    return tuple(alert for name in ("firing", "resolved") for alert in _alerts(_IN_TEXT, str(details.get(name, ""))))


def in_mail(message: EmailMessage) -> tuple[Alert, ...]:
    """The alerts in a mail."""
    return _alerts(_IN_TEXT, mail.text(message))


def only_in_text(message: EmailMessage) -> Iterator[Mapping[str, str]]:
    """Labels of firing alerts in a mail's plain text alternative that are missing in its HTML."""
    both = [labels(found["link"]) for found in _IN_HTML.finditer(mail.html(message))]
    return (alert.labels for alert in in_mail(message) if alert.status == "firing" and alert.labels not in both)


def labels(link: str) -> dict[str, str]:
    """The labels in the filter of a silence link."""
    wanted = unquote(urlsplit(link).fragment.partition("filter=")[2])
    # Go string literals are valid in Python.
    return {found["name"]: literal_eval(found["value"]) for found in _MATCHER.finditer(wanted)}


def _alerts(pattern: re.Pattern[str], text: str) -> tuple[Alert, ...]:
    return tuple(Alert(_WORDS[found["word"]], labels(found["link"])) for found in pattern.finditer(text))
