"""Slack's incoming webhooks: validation and responses.

Sources: Slack, "Sending messages using incoming webhooks", "Secondary message attachments" and "Formatting message
text".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from testbed.drill.receivers.validation import is_address, template_errors

_MOST_ATTACHMENTS = 100
_LONGEST_TEXT = 40_000
_LONGEST_FOOTER = 300
_MOST_ACTIONS = 5
_COLOR = re.compile(r"good|warning|danger|#[0-9a-fA-F]{6}")
# Alertmanager adds "fallback"; Slack ignores it.
_MARKDOWN_IN = {"pretext", "text", "fields", "fallback"}
# A link: <address> or <address|text>.
_LINK = re.compile(r"<((?:https?://|mailto:)[^<>|\s]+)(?:\|[^<>\n]*)?>")
_BARE_AMPERSAND = re.compile(r"&(?!amp;|lt;|gt;)")


class SlackError(Exception):
    """Slack would reject the message. The text is the body of its response, `status` the status."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(answer)
        self.status = status


def parse(content_type: str, body: bytes) -> Mapping[str, Any]:
    """Parse the message of a request. Raises SlackError."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise SlackError(400, "invalid_payload")
    try:
        message = json.loads(body)
    except ValueError:
        raise SlackError(400, "invalid_payload") from None
    if not isinstance(message, dict) or not isinstance(message.get("attachments", []), list):
        raise SlackError(400, "invalid_payload")
    attachments = message.get("attachments", [])
    if not all(isinstance(attachment, dict) for attachment in attachments):
        raise SlackError(400, "invalid_payload")
    if len(attachments) > _MOST_ATTACHMENTS:
        raise SlackError(400, "too_many_attachments")
    if not any(_filled(part.get(name)) for part in (message, *attachments) for name in ("text", "fallback")):
        raise SlackError(400, "no_text")
    return message


def problems(message: Mapping[str, Any]) -> list[str]:
    """Problems of a message that Slack accepts, but displays incompletely."""
    return [*_problems_of_message(message), *_problems_of_texts(message)]


def texts(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All displayed texts, with the names of their fields."""
    yield from _strings("message", message, ("text",))
    for attachment in message.get("attachments", ()):
        yield from _strings("attachment", attachment, ("pretext", "title", "text", "fallback", "footer"))
        for shown in attachment.get("fields", ()):
            yield from _strings("field", shown, ("title", "value"))
        for action in attachment.get("actions", ()):
            yield from _strings("action", action, ("text",))


def _strings(where: str, holder: Any, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(holder, dict):
        for name in names:
            if isinstance(holder.get(name), str):
                yield f"{where} {name}", holder[name]


def _problems_of_message(message: Mapping[str, Any]) -> Iterator[str]:
    for attachment in message.get("attachments", ()):
        yield from _problems_of_attachment(attachment)
        for shown in attachment.get("fields", ()):
            yield from _problems_of_field(shown)
        yield from _problems_of_actions(attachment.get("actions", ()))


def _problems_of_attachment(attachment: Mapping[str, Any]) -> Iterator[str]:
    if not _filled(attachment.get("text")):
        yield "an attachment has no text"
    if not _filled(attachment.get("fallback")):
        yield "an attachment has no fallback, which mobile notifications show"
    if not _COLOR.fullmatch(str(attachment.get("color", "good"))):
        yield f"color {attachment['color']!r} is not good, warning, danger or #rrggbb"
    for name in ("title_link", "image_url", "thumb_url"):
        if name in attachment and not is_address(attachment[name]):
            yield f"{name} {attachment[name]!r} is not an address"
    if not set(attachment.get("mrkdwn_in", ())) <= _MARKDOWN_IN:
        yield f"mrkdwn_in {attachment['mrkdwn_in']} names an unknown field"
    if len(str(attachment.get("footer", ""))) > _LONGEST_FOOTER:
        yield f"the footer has more than {_LONGEST_FOOTER} characters"


def _problems_of_field(shown: Any) -> Iterator[str]:
    if not isinstance(shown, dict) or not _filled(shown.get("title")) or not _filled(shown.get("value")):
        yield f"field {shown!r} needs title and value"
    elif not isinstance(shown.get("short", False), bool):
        yield f"field {shown['title']!r}: short is not a boolean"


def _problems_of_actions(actions: Any) -> Iterator[str]:
    if len(actions) > _MOST_ACTIONS:
        yield f"more than {_MOST_ACTIONS} actions"
    for action in actions:
        if action.get("type") != "button" or not _filled(action.get("text")) or not is_address(action.get("url")):
            yield f"action {action!r} is not a button with a text and an address"


def _problems_of_texts(message: Mapping[str, Any]) -> Iterator[str]:
    for name, text in texts(message):
        if len(text) > _LONGEST_TEXT:
            yield f"{name} has more than {_LONGEST_TEXT} characters"
        yield from (f"{name} {problem}" for problem in template_errors(text))
        rest = _LINK.sub("", text)
        if "<" in rest or ">" in rest or _BARE_AMPERSAND.search(rest):
            yield f"{name} has an unescaped &, < or >: {rest[:200]!r}"


def _filled(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())
