"""Validates that mail clients can display a mail.

Sources: RFC 5322 (message format), RFC 2046 section 5.1.4 (alternatives), RFC 2047 (encoded words).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email import message_from_bytes, policy
from email.headerregistry import AddressHeader, DateHeader
from email.message import EmailMessage
from html.parser import HTMLParser

from testbed.drill.receivers.validation import template_errors

_ONCE = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type")
_MESSAGE_ID = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")
_LONGEST_LINE = 998
_ENCODINGS = ("quoted-printable", "base64", "7bit")


def parse(content: bytes) -> EmailMessage:
    """Parse the mail of an SMTP session."""
    return message_from_bytes(content, policy=policy.default)


def problems(message: EmailMessage, content: bytes, sender: str, recipients: Sequence[str]) -> list[str]:
    """Problems of a mail with the envelope's `sender` and `recipients`."""
    return [
        *_problems_of_headers(message),
        *_problems_of_addresses(message, sender, recipients),
        *_problems_of_parts(message),
        *_problems_of_lines(content),
    ]


def text(message: EmailMessage) -> str:
    """The plain text alternative; empty if there is none or it cannot be decoded."""
    return _content(message, "plain")


def html(message: EmailMessage) -> str:
    """The HTML alternative; empty if there is none or it cannot be decoded."""
    return _content(message, "html")


def visible(source: str) -> str:
    """The visible text of an HTML page."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    return "".join(reader.seen)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("style", "script", "title")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "script", "title")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.seen.append(data)


def _problems_of_headers(message: EmailMessage) -> Iterator[str]:
    for name in _ONCE:
        found = message.get_all(name, [])
        if len(found) != 1:
            yield f"header {name} occurs {len(found)} times"
        elif not str(found[0]).strip():
            yield f"header {name} is empty"
        else:
            yield from (f"header {name}: {defect!r}" for defect in found[0].defects)
            yield from (f"header {name} {problem}" for problem in template_errors(str(found[0])))
    date = message.get("Date")
    if isinstance(date, DateHeader) and date.datetime is None:
        yield f"header Date {date!s:.100} is not a date"
    if not _MESSAGE_ID.fullmatch(str(message.get("Message-ID", "")).strip()):
        yield f"header Message-ID {message.get('Message-ID')!r} is not an identifier"
    if "\n" in str(message.get("Subject", "")):
        yield "the subject has more than one line"


def _problems_of_addresses(message: EmailMessage, sender: str, recipients: Sequence[str]) -> Iterator[str]:
    if _addresses(message, "From") != [sender]:
        yield f"header From {message.get('From')!r} is not the envelope's {sender!r}"
    if sorted(_addresses(message, "To")) != sorted(recipients):
        yield f"header To {message.get('To')!r} is not the envelope's {list(recipients)}"


def _addresses(message: EmailMessage, name: str) -> list[str]:
    header = message.get(name)
    return [address.addr_spec for address in header.addresses] if isinstance(header, AddressHeader) else []


def _problems_of_parts(message: EmailMessage) -> Iterator[str]:
    if message.get_content_type() != "multipart/alternative":
        yield f"is {message.get_content_type()}, not multipart/alternative"
        return
    parts = [part for part in message.iter_parts() if isinstance(part, EmailMessage)]
    kinds = [part.get_content_type() for part in parts]
    # Clients prefer the last alternative.
    if kinds != ["text/plain", "text/html"]:
        yield f"has the alternatives {kinds}, not plain text followed by HTML"
    yield from (f"{defect!r}" for defect in message.defects)
    for part in parts:
        yield from _problems_of_part(part)


def _problems_of_part(part: EmailMessage) -> Iterator[str]:
    kind = part.get_content_type()
    if part.get("Content-Transfer-Encoding", "7bit").lower() not in _ENCODINGS:
        yield f"{kind} has the encoding {part['Content-Transfer-Encoding']!r}"
    try:
        content = part.get_content()
    except (LookupError, UnicodeError) as error:
        yield f"{kind} cannot be decoded: {error}"
        return
    # Encoding defects are only known after decoding.
    yield from (f"{kind}: {defect!r}" for defect in part.defects)
    if "�" in content:
        yield f"{kind} has bytes outside its character set"
    shown = visible(content) if kind == "text/html" else content
    if not shown.strip():
        yield f"{kind} is empty"
    yield from (f"{kind} {problem}" for problem in template_errors(content))


def _problems_of_lines(content: bytes) -> Iterator[str]:
    if any(len(line) > _LONGEST_LINE for line in content.split(b"\r\n")):
        yield f"has a line of more than {_LONGEST_LINE} characters"


def _content(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    try:
        return str(part.get_content()) if part is not None else ""
    except (LookupError, UnicodeError):
        return ""
