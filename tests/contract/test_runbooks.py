"""Every alert has a runbook with the rule's numbers, and with valid queries, commands and links."""

import functools
import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path

import click
import pytest

from tests.contract.references import listed_panels, panels, problems_of_command
from tests.contract.rule_files import ALERTS, FILES, vocabulary
from tests.contract.rule_files import promtool as binary
from tests.contract.runbook_pages import (
    FOLDER,
    INDEX,
    SECTIONS,
    Page,
    numbers_to_change,
    read_page,
    runbooks,
    unsaid_durations,
    unsaid_keeping,
    unsaid_numbers,
)
from tools.checks.promql import Selector, parse, walk
from tools.checks.queries import check_query
from tools.checks.rules import Rule, rules_in
from trust_ops.cli import main
from trust_otel.settings import SETTINGS

# An escalation links to the page of the escalated alert.
WITH_PAGE = [alert for alert in ALERTS if "escalation_level" not in alert.labels]
PAGES = {page.path.stem: page for page in runbooks()}
EVERYTHING = [*PAGES.values(), read_page(INDEX)]
ROOT = FOLDER.parents[1]
PLACEHOLDER = re.compile(r"<[^<>]+>")
LIKE_SERIES = re.compile(
    r"(alertmanager|container|db|http|kube|node|otelcol|process|prometheus|redis|rpc|trust)_[a-z0-9_]+|\w+:\w+:\w+"
)
LEVELS = ("L1", "L2", "15 min", "L3", "30 min", "L4", "60 min")


def rules_of(page: Page) -> list[Rule]:
    return [alert for alert in WITH_PAGE if alert.name == page.path.stem]


def named(page: Page) -> str:
    return page.path.stem


each_page = pytest.mark.parametrize("page", PAGES.values(), ids=named)
every_page = pytest.mark.parametrize("page", EVERYTHING, ids=named)


def test_each_alert_has_a_page_and_each_page_an_alert() -> None:
    assert sorted(PAGES) == sorted({alert.name for alert in WITH_PAGE})


@each_page
def test_sections_are_in_order_and_not_empty(page: Page) -> None:
    assert page.title == page.path.stem
    assert page.says
    assert "\n" not in page.says
    assert tuple(page.sections) == SECTIONS
    assert [name for name, text in page.sections.items() if len(text.split()) < 15] == []


@each_page
def test_the_meaning_names_the_numbers_of_the_rule(page: Page) -> None:
    for rule in rules_of(page):
        assert unsaid_durations(page.sections["Meaning"], rule) == []
        assert unsaid_numbers(page.sections["Meaning"], rule) == []


@each_page
def test_the_action_says_how_long_the_alert_stays(page: Page) -> None:
    for rule in rules_of(page):
        assert unsaid_keeping(page.sections["Action"], rule) == []


@each_page
def test_the_diagnosis_names_the_panel_of_the_alert(page: Page) -> None:
    for rule in rules_of(page):
        uid, panel = re.findall(r"/d/([\w-]+)\?viewPanel=(\d+)", rule.annotations["dashboard_url"])[0]
        assert panels()[uid][int(panel)] in " ".join(page.sections["Diagnosis"].split())


@each_page
def test_panels_are_listed(page: Page) -> None:
    """tests/contract/test_references.py checks that they exist."""
    assert listed_panels(page.text) != []


@each_page
def test_the_escalation_names_the_team_and_for_critical_alerts_the_levels(page: Page) -> None:
    text = page.sections["Escalation"]
    for rule in rules_of(page):
        assert rule.labels["team"] in text.lower()
        if rule.labels["severity"] == "critical":
            assert [level for level in LEVELS if level not in text] == []


@each_page
def test_diagnosis_and_action_have_queries(page: Page) -> None:
    for name in ("Diagnosis", "Action"):
        assert "```promql" in page.sections[name], name


@each_page
def test_tuning_names_the_rule_and_its_unit_test(page: Page) -> None:
    text = page.sections["False alarms and tuning"]
    assert f"monitoring/prometheus/tests/{page.path.stem}.yml" in text
    for rule in rules_of(page):
        assert rule.group in text


@each_page
def test_tuning_names_numbers_of_the_rules(page: Page) -> None:
    there = set().union(*(numbers_to_change(rule, vocabulary().series) for rule in rules_of(page)))
    spans = re.findall(r"`(\d[\d.]*|\d+[smhd])`", page.sections["False alarms and tuning"])
    assert [span for span in spans if span not in there and not (is_number(span) and f"{float(span):g}" in there)] == []


def is_number(span: str) -> bool:
    return re.fullmatch(r"[\d.]+", span) is not None


@every_page
def test_queries_read_existing_series(page: Page) -> None:
    findings = {
        query: found
        for query in page.queries()
        if (found := [str(f) for f in check_query(filled(query), vocabulary())])
    }
    assert findings == {}


def filled(query: str) -> str:
    """The query with values for placeholders of labels with a fixed set of values."""
    for selector in (part for part in walk(parse(query)) if isinstance(part, Selector)):
        known = vocabulary()[selector.name].labels
        for matcher in selector.matchers:
            values = known[matcher.name].values if matcher.name in known else None
            if values and PLACEHOLDER.fullmatch(matcher.value):
                query = query.replace(f'{matcher.name}="{matcher.value}"', f'{matcher.name}="{min(values)}"')
    return query


@every_page
def test_series_named_in_the_prose_are_declared(page: Page) -> None:
    known = set(vocabulary().series)
    known |= {name.removesuffix("_bucket") for name in known}
    known |= {label for series in vocabulary().series.values() for label in series.labels}
    names = {re.sub(r"[{[].*", "", span) for span in page.code_spans()}
    assert {name for name in names if LIKE_SERIES.fullmatch(name)} - known == set()


@every_page
def test_link_targets_exist(page: Page) -> None:
    assert [link for link in page.links() if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Page, link: str) -> bool:
    address, _, anchor = link.partition("#")
    target = (page.path.parent / address).resolve() if address else page.path
    if not target.is_file() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in read_page(target).anchors()


_OF_OPERATORS = ("monitoring/.env", "monitoring/site.yml")


@every_page
def test_named_files_exist(page: Page) -> None:
    named_files = re.findall(r"(?<![\w/.])(?:monitoring|collector|tests|docs)/[\w./-]+\.\w+", page.text)
    assert [name for name in named_files if not (ROOT / name).is_file() and name not in _OF_OPERATORS] == []


@every_page
def test_trust_otel_commands_exist(page: Page) -> None:
    assert [problem for line in [*page.commands(), *page.code_spans()] for problem in problems_of_command(line)] == []


@every_page
@pytest.mark.parametrize("tool", ["amtool", "promtool"])
def test_commands_of_other_tools_exist(page: Page, tool: str) -> None:
    called = [call for line in [*page.commands(), *page.code_spans()] if (call := call_of(tool, line)) is not None]
    assert [
        problem for subcommands, options in called for problem in problems_of_tool(tool, subcommands, options)
    ] == []


def call_of(tool: str, line: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The subcommands and long options of a call in a shell line."""
    found = re.search(rf"(?<![\w'\"-]){tool} (.+)", PLACEHOLDER.sub("PLACEHOLDER", line))
    if found is None:
        return None
    words = list(takewhile(lambda word: word not in ("|", "&&", ";"), shlex.split(found[1])))
    options = tuple(word.partition("=")[0] for word in words if word.startswith("--"))
    plain = [word for word in words if not word.startswith("-")]
    return tuple(takewhile(lambda word: re.fullmatch("[a-z-]+", word) is not None, plain)), options


def problems_of_tool(tool: str, subcommands: tuple[str, ...], options: tuple[str, ...]) -> Iterator[str]:
    text = help_of(tool, subcommands)
    if text is None:
        yield f"{tool} has no {' '.join(subcommands)}"
        return
    # An option is followed by other words, or by `=` and its default.
    yield from (
        f"{tool} {' '.join(subcommands)} has no {one}" for one in options if not re.search(rf"{one}(?![\w.-])", text)
    )


@functools.cache
def help_of(tool: str, subcommands: tuple[str, ...]) -> str | None:
    result = subprocess.run([binary(tool), *subcommands, "--help"], capture_output=True, text=True, timeout=30)
    text = result.stdout + result.stderr
    # An unknown word is treated as an argument of the command before it.
    return text if re.search(rf"usage: {tool}\S* {' '.join(subcommands)} ", text) else None


@every_page
def test_named_settings_are_read(page: Page) -> None:
    known = {setting.name for setting in SETTINGS} | set(environment_of(main))
    assert set(re.findall(r"\bTRUST_OTEL_\w+", page.text)) - known == set()


def environment_of(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter.envvar, str):
            yield parameter.envvar
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from environment_of(inner)


def test_the_index_lists_every_alert_with_severity_team_and_what_it_says() -> None:
    found = re.findall(r"^\| \[(\w+)\]\((.+?)\) \| (.+?) \| (.+?) \| (.+?) \|$", INDEX.read_text(), re.MULTILINE)
    assert found == [row(page) for page in PAGES.values()]


def row(page: Page) -> tuple[str, ...]:
    severities = [rule.labels["severity"] for rule in rules_of(page)]
    teams = {rule.labels["team"] for rule in rules_of(page)}
    return page.path.stem, page.path.name, ", ".join(severities), ", ".join(teams), page.says


def rule(expression: str, **more: str) -> Rule:
    content = {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": expression, **more}]}]}
    (found,) = rules_in(json.dumps(content), "rules.yml")
    return found


SAID: Mapping[str, tuple[str, Rule]] = {
    "ratio as a percentage": ("above 5 %", rule("a > 0.05")),
    "ratio as a number": ("above 0.05.", rule("a > 0.05")),
    "number": ("3 errors at least", rule("a >= 3")),
    "computed number": ("above 1.44 %", rule("a > 14.4 * 0.001")),
    "days": ("less than 7 days", rule("a - time() < 7 * 86400")),
    "third": ("less than\na third", rule("a < 1 / 3")),
    "factor": ("half: 0.5 times", rule("a < 0.5 * b")),
    "nothing to say": ("it is down", rule("a == 0")),
}


@pytest.mark.parametrize(("text", "alert"), SAID.values(), ids=SAID)
def test_a_number_in_the_text_is_found(text: str, alert: Rule) -> None:
    assert unsaid_numbers(text, alert) == []


@pytest.mark.parametrize("text", ["above 50 %", "above 0.055", "above 15 %", "above 5 things", "0.5 %"])
def test_another_number_is_not_mistaken_for_the_rules(text: str) -> None:
    assert unsaid_numbers(text, rule("a > 0.05")) == ["0.05 or 5 %"]


def test_a_duration_is_not_mistaken_for_a_number() -> None:
    assert unsaid_numbers("for 3 minutes", rule("a >= 3")) == ["3"]


def test_durations_in_the_text_are_found() -> None:
    alert = rule("rate(a[2m]) > b:c:rate1h and d offset 1d > 0", **{"for": "15s"})
    assert unsaid_durations("for 15 s, over 2 minutes, an hour, and `1d` ago", alert) == []


def test_missing_durations_are_findings() -> None:
    alert = rule("rate(a[2m]) > 0", **{"for": "15s", "keep_firing_for": "5m"})
    unsaid = unsaid_durations("for 115 s, over 15 s, 12 minutes, 2 min", alert)
    assert sorted(unsaid) == ["2 minutes or 2m", "for 15 s or for 15s or For 15 s or For 15s"]
    assert unsaid_keeping("for 15 minutes", alert) == ["5 minutes or 5m"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("kubectl exec <pod> -- trust-otel doctor | grep --nothing", 0),
        ("trust-otel stack status --json", 0),
        ("trust-otel heal", 1),
        ("trust-otel doctor --deep", 1),
        ("grep 'trust-otel' log", 0),
    ],
)
def test_calls_of_trust_otel_are_checked(line: str, wrong: int) -> None:
    assert len(list(problems_of_command(line))) == wrong


@pytest.mark.parametrize(
    ("tool", "line", "wrong"),
    [
        ("amtool", "amtool --alertmanager.url=$AM silence query --output=extended", 0),
        ("amtool", "amtool --alertmanager.url=$AM silence query --extended", 1),
        ("amtool", "amtool silence remove <id>", 1),
        ("promtool", "promtool check rules monitoring/prometheus/trust-service-alerts.yml", 0),
    ],
)
def test_calls_of_other_tools_are_checked(tool: str, line: str, wrong: int) -> None:
    call = call_of(tool, line)
    assert call is not None
    assert len(list(problems_of_tool(tool, *call))) == wrong


def test_missing_link_targets_and_anchors_are_findings(tmp_path: Path) -> None:
    page = PAGES["TrustServiceDown"]
    assert leads_somewhere(page, "TrustServiceDown.md#diagnosis")
    assert not leads_somewhere(page, "TrustServiceDown.md#remedy")
    assert not leads_somewhere(page, "TrustServiceUp.md")


def test_alerts_are_read_from_the_rules_that_prometheus_loads() -> None:
    assert {alert.file for alert in WITH_PAGE} == {"trust-service-alerts.yml"} <= {file.name for file in FILES}
