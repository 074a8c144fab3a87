"""Formats a review: the sections of each kind of review and their text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trust_ops.incidents.review import LinkedPage, Review, RuleStatistics
from trust_ops.incidents.review_period import MONTH, QUARTER, WEEK
from trust_ops.incidents.summary import LEVELS, DurationStatistics, Summary
from trust_ops.incidents.times import format_duration
from trust_otel.text import visible_text

_MAX_ROWS = 15
_MANY = 0.5
_OFTEN = 2
_NOTHING = "-"


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        title: Its heading.
        text: Text before the table.
        columns: Headings of the table.
        rows: Rows of the table; empty for no table.
    """

    title: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def title(review: Review) -> str:
    """The heading of the page."""
    last = review.end - timedelta(days=1)
    running = ", still running" if review.now < review.end else ""
    return f"Review of the {review.period} from {review.start:%Y-%m-%d} to {last:%Y-%m-%d} (UTC{running})"


def sections(review: Review) -> list[Section]:
    """The sections of this kind of review."""
    return [section(review) for section in (_summary, _alerts, *_SECTIONS[review.period])]


def markdown(review: Review) -> str:
    """The whole page."""
    lines = [f"# {title(review)}"]
    for section in sections(review):
        lines += ["", f"## {section.title}"]
        if section.text:
            lines += ["", _escaped(section.text)]
        if section.rows:
            lines += ["", _line(section.columns), _line("---" for _ in section.columns)]
            lines += [_line(map(_escaped, row)) for row in section.rows]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    # A line break or a bar would end a cell; brackets, stars and entities are text, not markup.
    plain = visible_text(" ".join(text.split()))
    for character in "\\|<*[`~&":
        plain = plain.replace(character, f"\\{character}")
    return plain


def _summary(review: Review) -> Section:
    this, before = review.this, review.before
    if not this.alerts and not before.alerts:
        return Section(
            "Summary",
            "No alerts reached the receiver in this period or the one before. If that is unexpected, see "
            "docs/incidents.md for how to connect Alertmanager.",
        )
    return Section(
        "Summary",
        columns=("", f"this {review.period}", f"previous {review.period}"),
        rows=tuple((name, value(this), value(before)) for name, value in _FIGURES.items()),
    )


_FIGURES: dict[str, Callable[[Summary], str]] = {
    "alerts": lambda one: str(one.alerts),
    "alerts per week": lambda one: f"{one.per_week:.1f}",
    "acknowledged": lambda one: _of(one.acknowledged, one.alerts),
    "time to acknowledge (median, p90)": lambda one: _pair(one.to_acknowledge),
    "time to resolve (median, p90)": lambda one: _pair(one.to_resolve),
    "critical, acknowledged or resolved within 5 min": lambda one: _of(one.critical_in_time, one.critical),
    **{
        f"critical, escalated to {level} (not acknowledged for {format_duration(after)})": (
            lambda one, level=level: _of(one.escalated[level], one.critical)  # type: ignore[misc]
        )
        for level, after in LEVELS.items()
    },
    "still open": lambda one: str(one.unresolved),
}


def _alerts(review: Review) -> Section:
    return Section(
        "Alerts by severity and team",
        columns=("", f"this {review.period}", f"previous {review.period}"),
        rows=(
            *_compared(review.this.by_severity, review.before.by_severity),
            *_compared(review.this.by_team, review.before.by_team, "team "),
        ),
    )


def _compared(this: dict[str, int], before: dict[str, int], prefix: str = "") -> Iterable[tuple[str, ...]]:
    for name in {**this, **before}:
        yield f"{prefix}{name}", str(this.get(name, 0)), str(before.get(name, 0))


def _effectiveness(review: Review) -> Section:
    return _table_section(
        "Alert effectiveness",
        "Alerts by rule. Rules that are rarely acknowledged or resolve quickly are candidates for tuning.",
        (
            "alert",
            "severity",
            "team",
            "alerts",
            "never acknowledged",
            "resolved within 5 min",
            "fired again within 1 h",
        ),
        [_rule_row(rule) for rule in review.rules],
    )


def _rule_row(rule: RuleStatistics) -> tuple[str, ...]:
    shares = (f"{rule.never_acknowledged:.0%}", f"{rule.short:.0%}")
    return (rule.alertname, rule.severity, rule.team, str(rule.count), *shares, str(rule.flaps))


def _flapping(review: Review) -> Section:
    return _table_section(
        "Flapping alerts",
        "Alerts that fired again within an hour of their resolution, at least twice.",
        ("alert", "service", "fired again", "first", "last"),
        [
            (one.alertname, one.service, str(one.flaps), _minute(one.first), _minute(one.last))
            for one in review.flapping
        ],
    )


def _escalation(review: Review) -> Section:
    return _table_section(
        "Escalation",
        "Critical alerts that were not acknowledged in time, with the highest level reached.",
        ("incident", "since", "alert", "service", "team", "waited", "level"),
        [
            (
                str(one.id),
                _minute(one.starts_at),
                one.alertname,
                one.service,
                one.team,
                format_duration(one.waited),
                one.level,
            )
            for one in review.escalations
        ],
    )


def _dashboards(review: Review) -> Section:
    return _table_section(
        "Dashboards",
        "The panels that alerts linked to. Open them at the times of the alerts: do they show the problem?"
        + _without("panel", review.coverage.without_dashboard),
        ("panel", "alerts", "rules"),
        [(page.url, str(page.alerts), ", ".join(page.alertnames)) for page in review.dashboards],
    )


def _runbooks(review: Review) -> Section:
    return _table_section(
        "Runbooks",
        "The runbooks that alerts linked to. Was anything missing?"
        + _without("runbook", review.coverage.without_runbook),
        ("runbook", "alerts", "time to resolve (median, p90)"),
        [_page_row(page) for page in review.runbooks],
    )


def _page_row(page: LinkedPage) -> tuple[str, ...]:
    return page.url, str(page.alerts), _pair(page.to_resolve)


def _without(what: str, alertnames: Sequence[str]) -> str:
    return f" Alerts without a {what}: {', '.join(alertnames)}." if alertnames else ""


def _notes(review: Review) -> Section:
    return _table_section(
        "Notes",
        "Notes from incidents, as input for runbooks and rules.",
        ("incident", "alert", "who", "note"),
        [(str(said.id), said.alertname, said.person, said.text) for said in review.notes],
    )


def _trend(review: Review) -> Section:
    return _parts("Trend", "week from", review)


def _key_figures(review: Review) -> Section:
    return _parts("Key figures", "month from", review)


def _parts(heading: str, first: str, review: Review) -> Section:
    columns = (first, "alerts", "critical", "acknowledged", "time to acknowledge (median, p90)", "time to resolve")
    rows = (
        (
            f"{part.start:%Y-%m-%d}",
            str(part.summary.alerts),
            str(part.summary.critical),
            _of(part.summary.acknowledged, part.summary.alerts),
            _pair(part.summary.to_acknowledge),
            _pair(part.summary.to_resolve),
        )
        for part in review.parts
    )
    return Section(heading, columns=columns, rows=tuple(rows))


def _thresholds(review: Review) -> Section:
    advised = ((rule, _advice(rule)) for rule in review.rules if rule.count >= _OFTEN)
    return _table_section(
        "Thresholds",
        "Rules to tune, of those that fired at least twice.",
        (
            "alert",
            "severity",
            "alerts",
            "never acknowledged",
            "resolved within 5 min",
            "fired again within 1 h",
            "consider",
        ),
        [(*_rule_row(rule)[:2], *_rule_row(rule)[3:], advice) for rule, advice in advised if advice],
    )


def _advice(rule: RuleStatistics) -> str:
    found = []
    if rule.short >= _MANY:
        found.append("a higher threshold or a longer for")
    if rule.flaps >= _OFTEN:
        found.append("a longer keep_firing_for")
    if rule.never_acknowledged >= _MANY:
        found.append("removing the rule")
    return "; ".join(found)


def _coverage(review: Review) -> Section:
    coverage = review.coverage
    if coverage.never_fired is None:
        never = "The rules are unknown: use --prometheus with a Prometheus that has them loaded."
    elif coverage.never_fired:
        never = f"Rules that did not fire ({len(coverage.never_fired)}): {', '.join(coverage.never_fired)}."
    else:
        never = "Every rule fired."
    unknown = f" Alerts without a known rule: {', '.join(coverage.unknown)}." if coverage.unknown else ""
    missing = _without("runbook", coverage.without_runbook) + _without("panel", coverage.without_dashboard)
    return _table_section(
        "Coverage",
        never + unknown + missing,
        ("", "alerts"),
        [
            *((f"category {name}", str(count)) for name, count in coverage.by_category.items()),
            *((f"service {name}", str(count)) for name, count in coverage.by_service.items()),
        ],
        "",
    )


def _feedback(review: Review) -> Section:
    ignored = [rule.alertname for rule in review.rules if rule.count >= _OFTEN and rule.never_acknowledged == 1]
    asked = f" Discuss alerts that were never acknowledged: {', '.join(ignored)}." if ignored else ""
    notes = _notes(review)
    return Section("Feedback", f"{notes.text}{asked}", notes.columns, notes.rows)


_SECTIONS: dict[str, tuple[Callable[[Review], Section], ...]] = {
    WEEK: (_effectiveness, _flapping, _escalation, _dashboards, _runbooks, _notes),
    MONTH: (_trend, _thresholds, _flapping, _escalation),
    QUARTER: (_key_figures, _coverage, _escalation, _feedback),
}


def _table_section(
    heading: str,
    text: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    nothing: str = "None in this period.",
) -> Section:
    if not rows:
        return Section(heading, f"{text} {nothing}".strip())
    more = f" The first {_MAX_ROWS} of {len(rows)}; use --json for all." if len(rows) > _MAX_ROWS else ""
    return Section(heading, text + more, columns, tuple(rows[:_MAX_ROWS]))


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})" if whole else _NOTHING


def _pair(times: DurationStatistics) -> str:
    if times.median is None or times.ninety is None:
        return _NOTHING
    return f"{format_duration(times.median)}, {format_duration(times.ninety)}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
