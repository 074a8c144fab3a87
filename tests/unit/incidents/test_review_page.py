"""The sections of each kind of review, and their text."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from tests.unit.incidents.test_review import LATER, NOON, RULES, minutes, record, week_of
from trust_ops.incidents import review_period
from trust_ops.incidents.records import Note, Record
from trust_ops.incidents.review import Review, review
from trust_ops.incidents.review_page import Section, markdown, sections, title


def of(period: str, *found: Record, now: datetime = LATER, rules: frozenset[str] | None = RULES) -> Review:
    return review(found, period, review_period.period_ending(period, date(2026, 11, 29)), rules, now)


def section(result: Review, heading: str) -> Section:
    return next(section for section in sections(result) if section.title == heading)


@pytest.mark.parametrize(
    ("period", "headings"),
    [
        ("week", ["Alert effectiveness", "Flapping alerts", "Escalation", "Dashboards", "Runbooks", "Notes"]),
        ("month", ["Trend", "Thresholds", "Flapping alerts", "Escalation"]),
        ("quarter", ["Key figures", "Coverage", "Escalation", "Feedback"]),
    ],
)
def test_the_period_determines_the_sections(period: str, headings: list[str]) -> None:
    for result in (of(period), of(period, record(acknowledged=20))):
        found = [section.title for section in sections(result)]
        assert found == ["Summary", "Alerts by severity and team", *headings]


def test_the_title_says_whether_the_period_is_over() -> None:
    assert title(of("week")) == "Review of the week from 2026-11-23 to 2026-11-29 (UTC)"
    running = of("week", now=NOON)
    assert title(running) == "Review of the week from 2026-11-23 to 2026-11-29 (UTC, still running)"


def test_the_summary_compares_with_the_period_before() -> None:
    result = week_of(
        record(acknowledged=4, resolved=76),
        record(severity="warning"),
        record(NOON - timedelta(days=7), acknowledged=31),
    )
    assert section(result, "Summary").rows == (
        ("alerts", "2", "1"),
        ("alerts per week", "2.0", "1.0"),
        ("acknowledged", "1 of 2 (50%)", "1 of 1 (100%)"),
        ("time to acknowledge (median, p90)", "4 min, 4 min", "31 min, 31 min"),
        ("time to resolve (median, p90)", "1 h 8 min, 1 h 16 min", "1 h, 1 h"),
        ("critical, acknowledged or resolved within 5 min", "1 of 1 (100%)", "0 of 1 (0%)"),
        ("critical, escalated to L2 (not acknowledged for 15 min)", "0 of 1 (0%)", "1 of 1 (100%)"),
        ("critical, escalated to L3 (not acknowledged for 30 min)", "0 of 1 (0%)", "1 of 1 (100%)"),
        ("critical, escalated to L4 (not acknowledged for 1 h)", "0 of 1 (0%)", "0 of 1 (0%)"),
        ("still open", "0", "0"),
    )
    assert ("team platform", "2", "1") in section(result, "Alerts by severity and team").rows


@pytest.mark.parametrize("period", ["week", "month", "quarter"])
def test_a_period_without_alerts_says_so(period: str) -> None:
    page = markdown(of(period))
    assert "No alerts reached the receiver" in page
    assert "| critical | 0 | 0 |" in page
    assert page.count("None in this period.") == {"week": 6, "month": 3, "quarter": 2}[period]


def test_thresholds_to_tune_come_with_a_suggestion() -> None:
    short = [record(NOON + minutes(200 * number), acknowledged=1, resolved=3) for number in range(2)]
    flaps = [
        record(NOON + minutes(20 * number), acknowledged=1, resolved=10, name="TrustSlaViolation")
        for number in range(3)
    ]
    fine = [record(NOON + minutes(200 * number), acknowledged=1, name="TrustVaultUnavailable") for number in range(2)]
    once = record(name="Once", resolved=1)
    rows = section(of("month", *short, *flaps, *fine, once), "Thresholds").rows
    assert [(row[0], row[-1]) for row in rows] == [
        ("TrustSlaViolation", "a longer keep_firing_for"),
        ("TrustServiceDown", "a higher threshold or a longer for"),
    ]


def test_coverage_lists_rules_that_did_not_fire() -> None:
    said = section(of("quarter", record(runbook_url=""), record(name="Other")), "Coverage")
    assert said.text == (
        "Rules that did not fire (2): TrustSlaViolation, TrustVaultUnavailable. "
        "Alerts without a known rule: Other. Alerts without a runbook: TrustServiceDown."
    )
    assert said.rows == (("category availability", "2"), ("service issuer", "2"))
    every = [record(name=name) for name in RULES]
    assert section(of("quarter", *every), "Coverage").text == "Every rule fired."
    assert "--prometheus" in section(of("quarter", rules=None), "Coverage").text


def test_feedback_lists_alerts_that_were_never_acknowledged() -> None:
    ignored = [record(NOON + minutes(200 * number)) for number in range(2)]
    said = section(of("quarter", *ignored, record(notes=(Note("ann", "x"),), name="Other", acknowledged=1)), "Feedback")
    assert said.text.endswith("Discuss alerts that were never acknowledged: TrustServiceDown.")
    assert [row[1:] for row in said.rows] == [("Other", "ann", "x")]


def test_a_long_table_is_truncated_with_a_note() -> None:
    result = week_of(*(record(name=f"Alert{number}") for number in range(20)))
    said = section(result, "Alert effectiveness")
    assert len(said.rows) == 15
    assert said.text.endswith("The first 15 of 20; use --json for all.")


def test_notes_are_escaped_in_markdown() -> None:
    note = Note("ann", "a|b\n<script>\\ [x](http://y) **z**")
    page = markdown(week_of(record(notes=(note,))))
    (line,) = [line for line in page.splitlines() if "script" in line]
    assert line.endswith("| ann | a\\|b \\<script>\\\\ \\[x](http://y) \\*\\*z\\*\\* |")
    assert line.replace("\\|", "").count("|") == 5


HOSTILE = "".join(map(chr, (0x1B, 0x0D, 0x7F, 0x9B, 0x061C, 0x200B, 0x200F, 0x202E, 0x2066, 0xFEFF, 0xE0041)))


def test_control_characters_are_escaped_in_markdown() -> None:
    note = Note(f"a{HOSTILE}nn", f"gn{HOSTILE}p.exe &#x202e; ~~not~~")
    page = markdown(week_of(record(name=f"Al{HOSTILE}ert", notes=(note,))))
    assert not set(page) & set(HOSTILE)
    assert "gn\\\\x1b" in page
    assert "\\\\u202e" in page
    assert "\\&#x202e; \\~\\~not" in page
