"""The settings of a site file, and the errors for what is wrong in it."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from trust_ops.site_config import DEFAULTS, RenderError, Site, read_site
from trust_ops.site_config.pages import SITE_EXAMPLE, SITE_SCHEMA
from trust_ops.site_config.published_alerts import published_alerts
from trust_ops.site_config.site import BySeverity

FILE = "monitoring/site.yml"


def problems(text: str) -> list[str]:
    with pytest.raises(RenderError) as error:
        read_site(text, FILE)
    return [str(problem) for problem in error.value.problems]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}"])
def test_an_empty_file_has_the_defaults(text: str) -> None:
    assert read_site(text, FILE) == DEFAULTS


def test_the_example_has_every_default() -> None:
    assert read_site(SITE_EXAMPLE.read_text(), FILE) == DEFAULTS


def test_the_example_sets_every_setting_with_a_comment() -> None:
    text = SITE_EXAMPLE.read_text()
    content = yaml.safe_load(text)
    assert set(content) == set(Site.model_fields)
    for name in ("addresses", "business_hours", "critical", "kubernetes", "compliance"):
        part = type(getattr(DEFAULTS, name))
        assert set(content[name]) == {field.serialization_alias or key for key, field in part.model_fields.items()}
        assert all(field.description for field in part.model_fields.values())
    assert all(field.description for field in Site.model_fields.values())


def test_the_defaults_are_the_values_of_the_requirements() -> None:
    assert DEFAULTS.environments == {"production": "page", "staging": "notify", "development": "show"}
    assert DEFAULTS.other_environments == "page"
    assert DEFAULTS.business_hours.muted_outside == ()
    assert DEFAULTS.links == {name: f"https://{name}.marty.com" for name in ("grafana", "runbooks", "alertmanager")}


def test_settings_are_read() -> None:
    site = read_site(
        """
        domain: trust.test
        addresses: {grafana: "https://monitoring.trust.test/grafana/"}
        environments: {prod: page, no: show, 2024: notify}
        business_hours: {timezone: Europe/Berlin, from: 09:00, to: 24:00, muted_outside: [TrustRevenueDrop]}
        thresholds: {TrustServiceHighLatency: 3, TrustCertificateExpiring: {critical: 5, warning: 20}}
        teams: {auditors: {view: [security]}}
        """,
        FILE,
    )
    assert site.links["grafana"] == "https://monitoring.trust.test/grafana"
    assert site.links["runbooks"] == "https://runbooks.trust.test"
    # As in YAML 1.2: `no` is text, and `09:00` is not a number in base 60.
    assert site.environments == {"prod": "page", "no": "show", "2024": "notify"}
    assert (site.business_hours.begin, site.business_hours.end) == ("09:00", "24:00")
    assert site.thresholds == {
        "TrustServiceHighLatency": 3,
        "TrustCertificateExpiring": BySeverity(critical=5, warning=20),
    }
    assert list(site.teams) == ["auditors"]


BAD = [
    (
        "environments:\n  staging: notifiy\n",
        "2: environments.staging: 'notifiy' is not valid; use page,",
    ),
    ("environments: {staging: true}", "1: environments.staging: true is not valid; use page, notify or show"),
    ('environments: {"": page}', "1: environments.\"\": '' is not valid; use 1 to 200 printable characters"),
    ('environments: {"a\\nb": page}', "use 1 to 200 printable characters"),
    ('environments: {"eu.west|1": pge}', "1: environments.\"eu.west|1\": 'pge' is not valid"),
    ("environments:", "1: environments: it is empty; remove the line for the default"),
    ("environments: [production]", "1: environments: use settings with names, `name: value`"),
    ("other_environments: nobody", "1: other_environments: 'nobody' is not valid; use page, notify or show"),
    ("enviroments: {}", "1: enviroments: unknown setting; did you mean environments?"),
    ("business_hours:\n  timezon: UTC", "2: business_hours.timezon: unknown setting; did you mean timezone?"),
    ("business_hours: {start: '1'}", "1: business_hours.start: unknown setting; use one of timezone"),
    ("zzz: 1", "1: zzz: unknown setting; use one of domain, addresses, environments"),
    ("teams: {platform: {vew: []}}", "1: teams.platform.vew: unknown setting; did you mean view?"),
    ("business_hours: {timezone: Middle/Earth}", "'Middle/Earth' is not valid; use the name of a time zone"),
    ("business_hours: {days: [monday, mon]}", "1: business_hours.days[1]: 'mon' is not valid; use monday, tuesday"),
    ("business_hours: {days: [monday, monday]}", "1: business_hours.days[1]: 'monday' is listed twice; remove one"),
    ("business_hours: {days: []}", "1: business_hours.days: list at least one"),
    ("business_hours: {days: monday}", "1: business_hours.days: 'monday' is not valid; use a list"),
    ("business_hours: {from: 8}", "1: business_hours.from: 8 is not valid; use text; put it in quotes"),
    ("business_hours: {from: 8:00}", "1: business_hours.from: '8:00' is not valid; use hours and minutes"),
    ("business_hours: {to: 25:00}", "1: business_hours.to: '25:00' is not valid"),
    ("business_hours: {from: 20:00, to: 06:00}", "1: business_hours: `to` must be later than `from`"),
    (
        "business_hours: {days: [monday, tuesday, wednesday, thursday, friday, saturday, sunday], from: 00:00, "
        "to: 24:00, muted_outside: [TrustRevenueDrop]}",
        "the hours cover the whole week, so nothing can be muted",
    ),
    (
        "business_hours:\n  muted_outside:\n    - TrustRevenueDropp",
        "3: business_hours.muted_outside[0]: 'TrustRevenueDropp' is not valid; there is no such alert; "
        "did you mean TrustRevenueDrop?",
    ),
    ("business_hours: {muted_outside: [TrustServiceDown]}", "it is an alert of team platform; only business alerts"),
    ("business_hours: {muted_outside: [TrustComplianceFailure]}", "it is an alert of team compliance"),
    ("thresholds: {TrustServiceHighLatenzy: 3}", "no such alert; did you mean TrustServiceHighLatency?"),
    (
        "thresholds: {TrustServiceHighLatency: 2 s}",
        "TrustServiceHighLatency: '2 s' is not valid; use a number",
    ),
    ("thresholds: {TrustServiceHighLatency: true}", "true is not valid; use a number"),
    ("thresholds: {TrustServiceHighLatency: -1}", "-1 is not valid; use a number that is at least 0"),
    ("thresholds: {TrustServiceHighLatency: 1e999}", "is not valid; use a number"),
    ("thresholds: {TrustServiceHighLatency: .nan}", "'.nan' is not valid; use a number"),
    ("thresholds: {TrustServiceHighLatency: {warning: 1}}", "1 is not valid; the alert has only severity critical"),
    ("thresholds: {TrustServiceHighLatency: {crit: 1}}", "unknown setting; did you mean critical?"),
    (
        "thresholds: {TrustCertificateExpiring: 5}",
        "the alert has several severities; write a number for each, such as {critical: 7, warning: 30}",
    ),
    ("critical: {grpc_methods: []}", "1: critical.grpc_methods: list at least one"),
    ("critical: {grpc_methods: [trust.v1.Trust/Sign]}", "use the beginning of a method name"),
    ("critical: {grpc_methods: ['Sign.*\"} or vector(1) #']}", "use the beginning of a method name"),
    ("critical: {http_routes: [documents]}", "1: critical.http_routes[0]: 'documents' is not valid; use the route"),
    ("compliance: {required_controls: [{framework: eidas}]}", "required_controls[0]"),
    (
        "compliance: {required_controls: [{framework: eidas, control: a, within: 30d}]}",
        "1: compliance.required_controls[0].within: '30d' is not valid; use a duration from 15m to 14d, such as 1d",
    ),
    (
        "compliance: {required_controls: [{framework: eidas, control: ' a'}]}",
        "required_controls[0].control: ' a' is not valid; use 1 to 200 printable characters",
    ),
    (
        "compliance: {required_controls: [{framework: eidas, control: a, service: s}, {framework: eidas, control: a}]}",
        "required_controls[1].control: 'a' is not valid; an earlier entry requires it of the same service",
    ),
    ("kubernetes: {namespaces: [Trust]}", "1: kubernetes.namespaces[0]: 'Trust' is not valid; use the name of a Kub"),
    ("kubernetes: {namespaces: ['a|b']}", "use the name of a Kubernetes namespace"),
    ("teams: {platform: {edit: [ops]}}", "'ops' is not valid; use operational, security, business, pki or monitoring"),
    ("teams: {platform: {edit: [security], view: [security]}}", "edit includes view, so remove it from view"),
    ("retention: 15", "1: retention: 15 is not valid; use text; put it in quotes"),
    ("retention: 0d", "1: retention: '0d' is not valid; use a duration such as 15d"),
    ("addresses: {grafana: grafana.trust.test}", "'grafana.trust.test' is not valid; use an address such as https://"),
    ("addresses: {grafana: 'https://g.trust.test/?a=1'}", "remove the query or fragment"),
    ("addresses: {grafana: 'https://g.trust.test:99999'}", "use an address such as https://"),
    ("addresses: {grafana: 'https://g.trust.test/\"'}", "use an address such as https://"),
    ("addresses: {grafana: 'https://{other}.trust.test'}", "use an address such as https://"),
    ("addresses: {grafana: https://grafana.example.com}", "it is an example address; use your own"),
    ("domain: a b", "1: domain: 'a b' is not valid; use a domain such as your-company.com"),
    ("domain: example.com", "it is an example address"),
    ("domain: a.test\ndomain: b.test", "2: domain: it is already set on line 1; remove one"),
    ("teams:\n  a: {view: [], view: []}", "2: teams.a.view: it is already set on line 2; remove one"),
    ("a: &x 1\nb: *x", f"{FILE}:2: the alias *x is not supported"),
    ("domain: !!python/object:os.system x", "is not supported; remove it"),
    ("domain:\n\t- a", f"{FILE}:2: it is not valid YAML: indent with spaces"),
    ("domain: [", f"{FILE}:1: it is not valid YAML"),
    ("a: 1\n---\nb: 2", f"{FILE}:2: it is not valid YAML: it contains several documents"),
    ("? [a]\n: b", "a key must be text"),
    ("domain: \x00", f"{FILE}: it is not valid YAML"),
    ('environments: {"a\\ud800": page}', f"{FILE}:1: \\ud800 is no character; write the character itself"),
    ('"\\udfff": 1', f"{FILE}:1: \\udfff is no character"),
    ("retention: 1d12h", "1: retention: '1d12h' is not valid; use at least 15d"),
    ("objectives: [{name: a, indicator: validation}]", "1: objectives[0]: `target` is missing; add it"),
    (
        "thresholds: {TrustServiceHighLatency: 1e-300}",
        "1e-300 is not valid; use a number with at most 10 decimal places",
    ),
    ("thresholds: {TrustAuthFailuresFromAddress: 1e300}", "use a number with at most 10 decimal places and 10 digits"),
    (
        "addresses: {grafana: 'https://u:secret@g.trust.test'}",
        "'https://...@g.trust.test' is not valid; remove the user",
    ),
    ("domain: -a.test", "1: domain: '-a.test' is not valid; use a domain"),
    (f"domain: {'a' * 64}.test", "is not valid; use a domain"),
    (f"domain: {'a.' * 150}test", "is not valid; use a domain"),
    ("[a]", f"{FILE}:1: use settings with names"),
    ("text", f"{FILE}:1: 'text' is not valid; use settings with names"),
    ("[" * 3000 + "]" * 3000, f"{FILE}: it is nested too deeply"),
]


@pytest.mark.parametrize(("text", "expected"), BAD, ids=[text[:40] for text, _ in BAD])
def test_an_error_names_line_setting_value_and_remedy(text: str, expected: str) -> None:
    (problem,) = problems(text)
    assert expected in problem
    assert problem.startswith(FILE)
    assert problem.isprintable()


def test_all_problems_are_reported_in_the_order_of_the_file() -> None:
    found = problems("retention: never\nenvironments: {a: b}\nbusiness_hours: {days: [monday, monday, x]}\nnew: 1\n")
    assert [problem.split(": ")[:2] for problem in found] == [
        [f"{FILE}:1", "retention"],
        [f"{FILE}:2", "environments.a"],
        [f"{FILE}:3", "business_hours.days[1]"],
        [f"{FILE}:3", "business_hours.days[2]"],
        [f"{FILE}:4", "new"],
    ]


def test_a_long_value_is_shortened() -> None:
    (problem,) = problems(f"retention: {'x' * 1000}")
    assert len(problem) < 200


def test_editors_accept_the_example_and_reject_what_render_rejects() -> None:
    schema = json.loads(SITE_SCHEMA.read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    validator.validate(yaml.safe_load(SITE_EXAMPLE.read_text()))
    for wrong in (
        "environments: {staging: notifiy}",
        "enviroments: {}",
        "business_hours: {days: [mon]}",
        "thresholds: {A: x}",
        "thresholds: {A: {crit: 1}}",
    ):
        assert not validator.is_valid(yaml.safe_load(wrong)), wrong
    assert validator.is_valid({"thresholds": {"A": 1, "B": {"critical": 1}}})


def test_the_example_refers_to_the_schema_beside_it() -> None:
    first = SITE_EXAMPLE.read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={SITE_SCHEMA.name}"
    assert SITE_SCHEMA.parent == SITE_EXAMPLE.parent
    assert Path(SITE_SCHEMA).is_file()


def test_published_alerts_have_their_team_and_severities() -> None:
    alerts = published_alerts()
    assert alerts["TrustRevenueDrop"].team == "business"
    assert alerts["TrustCertificateExpiring"].severities == ("critical", "warning")
    assert "TrustEscalation" not in alerts
