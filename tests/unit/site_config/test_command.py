"""`trust-otel render`."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.render_command import empty_site, env_file, run  # noqa: F401 - a fixture
from trust_ops.site_config.files import CONFIGURATION
from trust_ops.site_config.published_alerts import ALERT_RULES
from trust_ops.site_config.variables import BY_NAME
from trust_ops.stack.files import project_file

pytestmark = pytest.mark.usefixtures("empty_site")


def test_it_lists_the_files_written_to_the_default_directory(tmp_path: Path, required: dict[str, str]) -> None:
    monitoring = tmp_path / "monitoring"
    monitoring.mkdir()
    env_file(monitoring, required).rename(monitoring / ".env")
    result = run()
    assert result.exit_code == 0, result.output
    assert f"monitoring/rendered/{CONFIGURATION}\n" in result.stdout
    configuration = yaml.safe_load((monitoring / "rendered" / CONFIGURATION).read_text())
    password = Path(configuration["global"]["smtp_auth_password_file"])
    assert password == monitoring / "rendered" / "secrets" / "SMTP_PASSWORD"
    assert password.read_text() == required["SMTP_PASSWORD"]


def test_variables_can_come_from_the_environment(tmp_path: Path, required: dict[str, str]) -> None:
    result = run("--from-environment", "--output", tmp_path / "out", "--secrets-dir", "/etc/secrets", env=required)
    assert result.exit_code == 0, result.output
    configuration = yaml.safe_load((tmp_path / "out" / CONFIGURATION).read_text())
    assert configuration["global"]["smtp_auth_password_file"] == "/etc/secrets/SMTP_PASSWORD"


def test_templates_can_be_those_of_another_directory(tmp_path: Path, required: dict[str, str]) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(project_file(f"monitoring/alertmanager/{CONFIGURATION}").parent, templates)
    template = templates / CONFIGURATION
    template.write_text(template.read_text().replace("group_wait: 30s", "group_wait: 7s", 1))
    out = tmp_path / "out"
    result = run("--from-environment", "--templates", templates, "--output", out, env=required)
    assert result.exit_code == 0, result.output
    assert yaml.safe_load((out / CONFIGURATION).read_text())["route"]["group_wait"] == "7s"


def test_a_missing_template_is_named(tmp_path: Path, required: dict[str, str]) -> None:
    result = run("--from-environment", "--templates", tmp_path, "--output", tmp_path / "out", env=required)
    assert result.exit_code == 1
    assert f"--templates: {tmp_path / CONFIGURATION} cannot be read (No such file or directory)" in result.stderr
    assert not (tmp_path / "out").exists()


def test_all_problems_are_reported_and_nothing_is_written(tmp_path: Path, required: dict[str, str]) -> None:
    bad = {
        **required,
        "SMTP_HOST": "mail",
        "SLACK_WEBHOOK_DEFAULT": "http://hooks.slack.com/hidden",
        "SECURITY_EMAIL": "",
    }
    result = run("--env-file", env_file(tmp_path, bad), "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert "nothing was written" in result.stderr
    for name in ("SMTP_HOST: use host:port", "SLACK_WEBHOOK_DEFAULT: ", "SECURITY_EMAIL: "):
        assert name in result.stderr
    assert "hidden" not in result.output
    assert not (tmp_path / "out").exists()


def test_an_earlier_result_stays_when_something_is_wrong(tmp_path: Path, required: dict[str, str]) -> None:
    out = tmp_path / "out"
    assert run("--env-file", env_file(tmp_path, required), "--output", out).exit_code == 0
    before = (out / CONFIGURATION).read_bytes()
    assert run("--env-file", env_file(tmp_path, {**required, "SMTP_HOST": ""}), "--output", out).exit_code == 1
    assert (out / CONFIGURATION).read_bytes() == before


def test_no_secret_is_printed(tmp_path: Path, required: dict[str, str]) -> None:
    output = run("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out").output
    for name, value in required.items():
        assert not (BY_NAME[name].kind.secret and value in output)


def test_quotes_cause_a_warning(tmp_path: Path, required: dict[str, str]) -> None:
    result = run(
        "--env-file", env_file(tmp_path, {**required, "SMTP_PASSWORD": '"quoted"'}), "--output", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    assert "line 4: the quotes are part of the value of SMTP_PASSWORD" in result.stderr
    assert (tmp_path / "out" / "secrets" / "SMTP_PASSWORD").read_text() == '"quoted"'


def test_a_missing_file_is_named_with_a_fix(tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 1
    assert "monitoring/.env cannot be read" in result.stderr
    assert "create it from monitoring/.env.example" in result.stderr


def test_an_unwritable_directory_is_named(tmp_path: Path, required: dict[str, str]) -> None:
    (tmp_path / "out").touch()
    result = run("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out" / "in")
    assert result.exit_code == 1
    assert "out/in cannot be written" in result.stderr
    assert "Traceback" not in result.output


SITE = """\
addresses:
  grafana: https://g.trust.test
"""


def site_file(folder: Path, text: str = SITE) -> Path:
    path = folder / "site.yml"
    path.write_text(text)
    return path


def test_without_a_site_file_the_defaults_are_used(tmp_path: Path, required: dict[str, str]) -> None:
    result = run("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "monitoring/site.yml does not exist: the defaults of docs/site.md are used\n" in result.stderr
    assert "https://grafana.marty.com/d/" in (tmp_path / "out" / ALERT_RULES).read_text()


def test_a_site_file_is_used(tmp_path: Path, required: dict[str, str]) -> None:
    result = run(
        *("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out"), "--site", site_file(tmp_path)
    )
    assert result.exit_code == 0, result.output
    assert "https://g.trust.test/d/" in (tmp_path / "out" / ALERT_RULES).read_text()
    assert "site.yml" not in result.stderr


def test_the_objectives_of_the_site_are_rendered(tmp_path: Path, required: dict[str, str]) -> None:
    site = site_file(
        tmp_path, "objectives: [{name: paying, indicator: availability, http_route: '/{id}', target: 0.99}]"
    )
    result = run("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out", "--site", site)
    assert result.exit_code == 0
    rules = (tmp_path / "out" / "trust-service-slo.yml").read_text()
    assert 'labels: {slo: "paying"' in rules
    assert 'http_route="/{id}"' in rules
    assert 'slo: "latency"' not in rules


def test_a_site_file_that_was_asked_for_must_exist(tmp_path: Path, required: dict[str, str]) -> None:
    result = run("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out", "--site", "mysite.yml")
    assert result.exit_code == 1
    assert "mysite.yml: there is no such file; create it from monitoring/site.example.yml" in result.stderr
    assert not (tmp_path / "out").exists()


def test_problems_of_settings_and_variables_are_reported_together(tmp_path: Path, required: dict[str, str]) -> None:
    site = site_file(tmp_path, "environments: {prod: pge}\nretention: never\n")
    path = env_file(tmp_path, {**required, "SMTP_HOST": "mail", "GRAFANA_URL": "https://g.trust.test"})
    result = run("--env-file", path, "--output", tmp_path / "out", "--site", site)
    assert result.exit_code == 1
    assert "nothing was written" in result.stderr
    for text in (
        f"{site}:1: environments.prod: 'pge' is not valid; use page, notify or show",
        f"{site}:2: retention: 'never' is not valid; use a duration such as 15d",
        "SMTP_HOST: use host:port",
        "GRAFANA_URL: it is now a setting of the site file: set `addresses.grafana` there, and remove the variable",
    ):
        assert text in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_earlier_variable_in_the_environment_is_ignored_with_a_message(
    tmp_path: Path, required: dict[str, str]
) -> None:
    environment = {**required, "GRAFANA_URL": "https://g.trust.test"}
    result = run("--from-environment", "--output", tmp_path / "out", env=environment)
    assert result.exit_code == 0, result.output
    assert "GRAFANA_URL is ignored: it is now a setting of the site file" in result.stderr


@pytest.mark.parametrize("content", [b"domain: \xff\n", None], ids=["not UTF-8", "a directory"])
def test_an_unreadable_site_file_is_named(tmp_path: Path, required: dict[str, str], content: bytes | None) -> None:
    path = tmp_path / "site.yml"
    path.mkdir() if content is None else path.write_bytes(content)
    result = run("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out", "--site", path)
    assert result.exit_code != 0
    assert "site.yml" in result.stderr
    assert "Traceback" not in result.output
