"""A review as a page: which of the numbers each kind of review looks at, and how they read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trust_ops.incidents.review import Page, Review, RuleNumbers
from trust_ops.incidents.review_period import MONTH, QUARTER, WEEK
from trust_ops.incidents.summary import LEVELS, Summary, Times
from trust_ops.incidents.times import format_duration
from trust_otel.text import visible_text

_MOST_ROWS = 15
_MANY = 0.5
_OFTEN = 2
_NOTHING = "-"


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: Its heading.
        text: What it says before the table.
        columns: Headings of the table.
        rows: As many cells as there are columns each; none for no table.
    """

    title: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def title(review: Review) -> str:
    """The heading of the page."""
    last = review.end - timedelta(days=1)
    running = ", not over yet" if review.now < review.end else ""
    return f"Review of the {review.period} from {review.start:%Y-%m-%d} to {last:%Y-%m-%d} (UTC{running})"


def sections(review: Review) -> list[Section]:
    """What this kind of review looks at."""
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
    # A line break or a bar would end a cell; brackets, stars and entities are somebody's text, not markup.
    plain = visible_text(" ".join(text.split()))
    for character in "\\|<*[`~&":
        plain = plain.replace(character, f"\\{character}")
    return plain


def _summary(review: Review) -> Section:
    this, before = review.this, review.before
    if not this.alerts and not before.alerts:
        return Section(
            "Summary",
            "No alert reached the receiver, neither in this period nor in the one before. Unless that is true, see in "
            "docs/incidents.md how Alertmanager delivers to it.",
        )
    return Section(
        "Summary",
        columns=("", f"this {review.period}", f"the {review.period} before"),
        rows=tuple((name, say(this), say(before)) for name, say in _FIGURES.items()),
    )


_FIGURES: dict[str, Callable[[Summary], str]] = {
    "alerts": lambda one: str(one.alerts),
    "alerts a week": lambda one: f"{one.per_week:.1f}",
    "acknowledged": lambda one: _of(one.acknowledged, one.alerts),
    "time to acknowledge (median, 90 %)": lambda one: _pair(one.to_acknowledge),
    "time to resolve (median, 90 %)": lambda one: _pair(one.to_resolve),
    "critical, acknowledged or over within 5 min": lambda one: _of(one.critical_in_time, one.critical),
    **{
        f"critical, nobody took it for {format_duration(after)} ({level} called)": (
            lambda one, level=level: _of(one.escalated[level], one.critical)  # type: ignore[misc]
        )
        for level, after in LEVELS.items()
    },
    "still open": lambda one: str(one.unresolved),
}


def _alerts(review: Review) -> Section:
    return Section(
        "Alerts by severity and team",
        columns=("", f"this {review.period}", f"the {review.period} before"),
        rows=(
            *_compared(review.this.by_severity, review.before.by_severity),
            *_compared(review.this.by_team, review.before.by_team, "team "),
        ),
    )


def _compared(this: dict[str, int], before: dict[str, int], prefix: str = "") -> Iterable[tuple[str, ...]]:
    for name in {**this, **before}:
        yield f"{prefix}{name}", str(this.get(name, 0)), str(before.get(name, 0))


def _effectiveness(review: Review) -> Section:
    return _limited(
        "Alert effectiveness",
        "Which rules call people, and whether that was needed.",
        ("alert", "severity", "team", "alerts", "never acknowledged", "over within 5 min", "came back within 1 h"),
        [_rule_row(rule) for rule in review.rules],
    )


def _rule_row(rule: RuleNumbers) -> tuple[str, ...]:
    shares = (f"{rule.never_acknowledged:.0%}", f"{rule.short:.0%}")
    return (rule.alertname, rule.severity, rule.team, str(rule.count), *shares, str(rule.flaps))


def _flapping(review: Review) -> Section:
    return _limited(
        "Flapping alerts",
        "The same alert, again within an hour of its end, at least twice.",
        ("alert", "service", "came back", "first", "last"),
        [
            (one.alertname, one.service, str(one.flaps), _minute(one.first), _minute(one.last))
            for one in review.flapping
        ],
    )


def _escalation(review: Review) -> Section:
    return _limited(
        "Escalation",
        "Critical alerts that nobody took in time, and the highest level that they called.",
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
    return _limited(
        "Dashboards",
        "The panels that alerts pointed to. Open them at the times of the alerts: do they show what the alert said?"
        + _without("panel", review.coverage.without_dashboard),
        ("panel", "alerts", "rules"),
        [(page.url, str(page.alerts), ", ".join(page.alertnames)) for page in review.dashboards],
    )


def _runbooks(review: Review) -> Section:
    return _limited(
        "Runbooks",
        "The runbooks that were needed. What was missing in them?"
        + _without("runbook", review.coverage.without_runbook),
        ("runbook", "alerts", "time to resolve (median, 90 %)"),
        [_page_row(page) for page in review.runbooks],
    )


def _page_row(page: Page) -> tuple[str, ...]:
    return page.url, str(page.alerts), _pair(page.to_resolve)


def _without(what: str, alertnames: Sequence[str]) -> str:
    return f" These alerts name no {what}: {', '.join(alertnames)}." if alertnames else ""


def _notes(review: Review) -> Section:
    return _limited(
        "Notes",
        "What people wrote down, to go into runbooks and rules.",
        ("incident", "alert", "who", "note"),
        [(str(said.id), said.alertname, said.person, said.text) for said in review.notes],
    )


def _trend(review: Review) -> Section:
    return _parts("Trend", "week from", review)


def _key_figures(review: Review) -> Section:
    return _parts("Key figures", "month from", review)


def _parts(heading: str, first: str, review: Review) -> Section:
    columns = (first, "alerts", "critical", "acknowledged", "time to acknowledge (median, 90 %)", "time to resolve")
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
    return _limited(
        "Thresholds",
        "Rules to tune, among those that fired at least twice.",
        ("alert", "severity", "alerts", "never acknowledged", "over within 5 min", "came back within 1 h", "consider"),
        [(*_rule_row(rule)[:2], *_rule_row(rule)[3:], advice) for rule, advice in advised if advice],
    )


def _advice(rule: RuleNumbers) -> str:
    found = []
    if rule.short >= _MANY:
        found.append("a higher threshold or a longer for")
    if rule.flaps >= _OFTEN:
        found.append("a longer keep_firing_for")
    if rule.never_acknowledged >= _MANY:
        found.append("whether anybody needs it")
    return "; ".join(found)


def _coverage(review: Review) -> Section:
    coverage = review.coverage
    if coverage.never_fired is None:
        never = "The rules are not known here: name a Prometheus that has them with --prometheus."
    elif coverage.never_fired:
        never = f"Rules that never fired, {len(coverage.never_fired)}: {', '.join(coverage.never_fired)}."
    else:
        never = "Every rule fired."
    unknown = f" Alerts that are none of these rules: {', '.join(coverage.unknown)}." if coverage.unknown else ""
    missing = _without("runbook", coverage.without_runbook) + _without("panel", coverage.without_dashboard)
    return _limited(
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
    unheeded = [rule.alertname for rule in review.rules if rule.count >= _OFTEN and rule.never_acknowledged == 1]
    asked = f" Ask about alerts that nobody ever acknowledged: {', '.join(unheeded)}." if unheeded else ""
    notes = _notes(review)
    return Section("Feedback", f"{notes.text}{asked}", notes.columns, notes.rows)


_SECTIONS: dict[str, tuple[Callable[[Review], Section], ...]] = {
    WEEK: (_effectiveness, _flapping, _escalation, _dashboards, _runbooks, _notes),
    MONTH: (_trend, _thresholds, _flapping, _escalation),
    QUARTER: (_key_figures, _coverage, _escalation, _feedback),
}


def _limited(
    heading: str,
    text: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    nothing: str = "None in this period.",
) -> Section:
    if not rows:
        return Section(heading, f"{text} {nothing}".strip())
    more = f" The first {_MOST_ROWS} of {len(rows)}; --json has all." if len(rows) > _MOST_ROWS else ""
    return Section(heading, text + more, columns, tuple(rows[:_MOST_ROWS]))


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})" if whole else _NOTHING


def _pair(times: Times) -> str:
    if times.median is None or times.ninety is None:
        return _NOTHING
    return f"{format_duration(times.median)}, {format_duration(times.ninety)}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
