"""Validation of texts and URLs in notifications, common to all channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

# Errors of Go templates: a missing value, an unexecuted action, a value of the wrong type for its format.
_TEMPLATE_ERROR = re.compile(r"<no value>|&lt;no value&gt;|<nil>|\{\{|%![a-zA-Z]\(")


def template_errors(value: object) -> list[str]:
    """Template errors in a text, or in all texts of a JSON value."""
    if isinstance(value, Mapping):
        return [error for inner in value.values() for error in template_errors(inner)]
    if isinstance(value, list):
        return [error for inner in value for error in template_errors(inner)]
    found = _TEMPLATE_ERROR.search(value) if isinstance(value, str) else None
    return [f"has the template error {found[0]!r}: {value!s:.200}"] if found else []


def is_address(text: object) -> bool:
    """Whether it is an absolute http or https address."""
    if not isinstance(text, str) or any(character.isspace() for character in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
