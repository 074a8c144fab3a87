"""Valid values of the variables, and the errors for invalid ones."""

import pytest

from trust_ops.site_config import RenderError
from trust_ops.site_config.site import DEFAULTS
from trust_ops.site_config.variables import BY_NAME, MOVED, VARIABLES, Variable, moved, read


def problems(environment: dict[str, str]) -> dict[str, str]:
    with pytest.raises(RenderError) as error:
        read(environment)
    return {problem.subject: problem.remedy for problem in error.value.problems}


def test_the_required_variables_are_those_of_the_requirements(required: dict[str, str]) -> None:
    assert {variable.name for variable in VARIABLES if not variable.optional} == set(required)


def test_a_variable_is_defined_after_those_it_refers_to() -> None:
    seen: set[str] = set()
    for variable in VARIABLES:
        assert {variable.needs, variable.fallback} - {None} <= seen
        seen.add(variable.name)


def test_all_missing_variables_are_reported_at_once(required: dict[str, str]) -> None:
    found = problems({"SMTP_HOST": "mail.trust.test:587", "SLACK_WEBHOOK_DEFAULT": ""})
    assert list(found) == [name for name in required if name != "SMTP_HOST"]
    assert found["SECURITY_EMAIL"] == (
        "missing or empty; set it (recipients of security alerts), or set it to `off` to disable it"
    )


def test_variables_that_depend_on_an_invalid_one_are_checked() -> None:
    found = problems({"SMTP_HOST": "mail"})
    assert "SMTP_HOST" in found
    assert "SECURITY_EMAIL" in found


BAD = [
    ("SMTP_HOST", "mail.trust.test", "use host:port"),
    ("SMTP_HOST", "mail.trust.test:0", "use host:port"),
    ("SMTP_HOST", "mail.trust.test:65536", "use host:port"),
    ("SMTP_HOST", "ma il.trust.test:25", "use host:port"),
    ("SMTP_HOST", "smtp.example.com:587", "an example address"),
    ("SMTP_FROM", "alerts", "use an address"),
    ("SMTP_FROM", "A <a@trust.test>, B <b@trust.test>", "use an address"),
    ("SMTP_FROM", "off", "cannot be `off`"),
    ("SMTP_PASSWORD", " blank", "without leading or trailing spaces"),
    ("SLACK_WEBHOOK_DEFAULT", "http://hooks.slack.com/services/a", "use https://"),
    ("SLACK_WEBHOOK_DEFAULT", "http://slack:8080/a", "use https://"),
    ("SLACK_WEBHOOK_DEFAULT", "hooks.slack.com/services/a", "https:// URL"),
    ("SLACK_WEBHOOK_DEFAULT", "https://", "https:// URL"),
    ("SLACK_WEBHOOK_DEFAULT", "https://hooks.slack.com/{{ .x }}", "https:// URL"),
    ("PAGERDUTY_SECURITY_KEY", "5ec0123456789abcdef0123456789ab", "32 letters and digits"),
    ("PAGERDUTY_SECURITY_KEY", "5ec0123456789abcdef0123456789ab-", "32 letters and digits"),
    ("PAGERDUTY_SECURITY_KEY", "0" * 32, "an example key"),
    ("SECURITY_EMAIL", "a@trust.test,", "use an address"),
    ("SECURITY_EMAIL", "a@trust.test; b@trust.test", "use an address"),
    ("SECURITY_EMAIL", "a..b@trust.test", "use an address"),
    ("SECURITY_EMAIL", "{{.x}}@trust.test", "use an address"),
    ("SECURITY_EMAIL", "security@example.org", "an example address"),
    ("INCIDENT_WEBHOOK_URL", "http://incidents.trust.test/", "use https://"),
    ("SMTP_CA_FILE", "ca.pem", "the absolute path"),
    ("ONCALL_PLATFORM", "x" * 201, "at most 200 characters"),
]


@pytest.mark.parametrize(("name", "value", "remedy"), BAD)
def test_an_invalid_value_is_named_with_a_fix(required: dict[str, str], name: str, value: str, remedy: str) -> None:
    found = problems({**required, name: value})
    assert list(found) == [name]
    assert remedy in found[name]


@pytest.mark.parametrize(("name", "value", "remedy"), BAD)
def test_an_invalid_value_is_shown_unless_it_may_be_a_secret(
    required: dict[str, str], name: str, value: str, remedy: str
) -> None:
    text = problems({**required, name: value})[name]
    shown = text.startswith(repr(value[:100])[:-1])
    assert shown is BY_NAME[name].kind.shown


@pytest.mark.parametrize("variable", [variable for variable in VARIABLES if not variable.kind.shown])
@pytest.mark.parametrize(
    "value", ["smtp://u:hunter2@h:587", "hunter2 ", "https://u:hunter2@h:x/", "https://h/?key=hunter2&x", "u:hunter2@h"]
)
def test_errors_do_not_contain_secrets(required: dict[str, str], variable: Variable, value: str) -> None:
    # One variable is missing, so that there is always an error.
    found = problems({**required, "SECURITY_EMAIL": "", "SMTP_FROM": "", variable.name: value})
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("name", [variable.name for variable in VARIABLES])
@pytest.mark.parametrize("hostile", ["a\nb: c", "a\rb", "a\x00", "a\u2028b", "\x1b[31m"])
def test_no_variable_takes_a_control_character(required: dict[str, str], name: str, hostile: str) -> None:
    assert list(problems({**required, "INCIDENT_WEBHOOK_URL": "https://a.test/", name: hostile})) == [name]


GOOD = [
    ("SMTP_HOST", "[::1]:25"),
    ("SMTP_HOST", "mail:465"),
    ("SMTP_FROM", "alerts@trust.test"),
    ("SLACK_WEBHOOK_DEFAULT", "http://127.0.0.1:8080/services/a"),
    ("SLACK_WEBHOOK_DEFAULT", "http://localhost:8080/services/a"),
    ("INCIDENT_WEBHOOK_URL", "http://incidents:9094/alerts"),
    ("INCIDENT_WEBHOOK_URL", "http://incidents.monitoring.svc:9094/alerts"),
    ("INCIDENT_WEBHOOK_URL", "http://10.1.2.3:9094/alerts"),
    ("DEADMAN_WEBHOOK_URL", "https://user:word@deadman.trust.test/ping?id=1"),
    ("SMTP_CA_FILE", "/etc/ssl/ca.pem"),
    ("ONCALL_SECURITY", 'Ada: "#1" {{ .x }} <b> \\ ü 😀'),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_a_valid_value_is_not_changed(required: dict[str, str], name: str, value: str) -> None:
    assert read({**required, name: value}).text[name] == value


def test_a_duplicate_address_is_used_once(required: dict[str, str]) -> None:
    values = read({**required, "SECURITY_EMAIL": "a@trust.test,b@trust.test, a@trust.test"})
    assert values.text["SECURITY_EMAIL"] == "a@trust.test, b@trust.test"


def test_optional_variables_have_fallbacks(required: dict[str, str]) -> None:
    values = read(required)
    assert values.text["MANAGER_EMAIL"] == "senior@trust.test"
    assert values.text["ONCALL_SECURITY"] == "security team"
    assert values.text["INCIDENT_WEBHOOK_URL"] is None
    # The Secret in the cluster has no key for a variable that is not set.
    assert values.source["SLACK_WEBHOOK_ESCALATION"] == "SLACK_WEBHOOK_DEFAULT"
    assert "SLACK_WEBHOOK_ESCALATION" not in values.secrets()


def test_without_a_mail_server_mail_variables_are_not_required(required: dict[str, str]) -> None:
    without = {
        name: value for name, value in required.items() if not name.startswith("SMTP_") and not name.endswith("_EMAIL")
    }
    values = read({**without, "SMTP_HOST": "off"})
    assert values.text["SECURITY_EMAIL"] is None
    assert "SMTP_PASSWORD" not in values.secrets()


@pytest.mark.parametrize("alone", ["SMTP_USERNAME", "SMTP_PASSWORD"])
def test_user_and_password_go_together(required: dict[str, str], alone: str) -> None:
    found = problems({**required, alone: "off"})
    assert found == {"SMTP_USERNAME and SMTP_PASSWORD": "set both, or both to `off`"}


def test_secrets_are_not_in_the_repr(required: dict[str, str]) -> None:
    assert "correct-horse" not in repr(read(required))


@pytest.mark.parametrize("name", MOVED)
def test_a_variable_that_became_a_setting_is_named_with_the_setting(required: dict[str, str], name: str) -> None:
    (problem,) = moved({**required, name: "something"})
    assert problem.subject == name
    assert f"set `{MOVED[name]}` there" in problem.remedy
    # A line of the earlier example file that was never filled in.
    assert moved({**required, name: ""}) == []


def test_every_setting_that_replaces_a_variable_exists() -> None:
    for path in MOVED.values():
        part, name = path.split(".")
        assert name in type(getattr(DEFAULTS, part)).model_fields
