"""The receiver's log has one line for each record, whatever its text."""

from __future__ import annotations

import logging
import sys

from trust_ops.incidents.serve import _RateLimit, _SingleLineFormatter


def test_a_record_is_one_line_and_a_traceback_cannot_look_like_one() -> None:
    formatter = _SingleLineFormatter("%(levelname)s %(message)s")
    record = logging.LogRecord("x", logging.INFO, "x", 1, "by %s", ("a\nERROR forged\x1b[2J\u202e",), None)
    assert formatter.format(record) == r"INFO by a\nERROR forged\x1b[2J\u202e"
    try:
        raise ValueError("first\nERROR forged\x1b")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed", (), sys.exc_info())
    head, *lines = formatter.format(record).splitlines()
    assert head == "ERROR failed"
    assert all(line.startswith("    ") for line in lines)
    assert "\x1b" not in "".join(lines)


def test_what_is_logged_for_each_request_is_logged_once_a_minute() -> None:
    once = _RateLimit()
    passed = []
    for seconds, message in ((0, "invalid"), (1, "invalid"), (2, "other"), (59, "invalid"), (61, "invalid")):
        record = logging.LogRecord("x", logging.WARNING, "x", 1, message, (), None)
        record.created = 1_000_000.0 + seconds
        if once.filter(record):
            passed.append((seconds, message))
    assert passed == [(0, "invalid"), (2, "other"), (61, "invalid")]
