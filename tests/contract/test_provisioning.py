"""Grafana's provisioning is consistent, contains no secret, and allows no default password."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from trust_ops.grafana.access_file import Resource, read_access
from trust_ops.grafana.tokens import LONGEST
from trust_otel.distro import DEFAULTS

MONITORING = Path(__file__).parents[2] / "monitoring"
FOLDER = MONITORING / "provisioning"
DASHBOARDS = MONITORING / "grafana"
SOURCES = FOLDER / "datasources" / "trust-service.yml"
TRACES = FOLDER / "optional" / "traces.yml"
LOGS = FOLDER / "optional" / "logs.yml"
PROVIDERS = FOLDER / "dashboards" / "trust-service.yml"

SOURCE_KEYS = {"name", "uid", "type", "access", "url", "isDefault", "editable", "jsonData"}
JSON_KEYS = {
    "prometheus": {
        "httpMethod",
        "timeInterval",
        "manageAlerts",
        "alertmanagerUid",
        "prometheusType",
        "exemplarTraceIdDestinations",
    },
    "alertmanager": {"implementation", "handleGrafanaManagedAlerts"},
    "tempo": {"tracesToMetrics"},
    "loki": {"derivedFields"},
}
PROVIDER_KEYS = {
    "name",
    "type",
    "folder",
    "folderUid",
    "disableDeletion",
    "allowUiUpdates",
    "updateIntervalSeconds",
    "options",
}
# Folders and their dashboards.
AUDIENCES = {
    "trust-operations": "operational",
    "trust-security": "security",
    "trust-business": "business",
    "trust-pki": "pki",
    "trust-monitoring": "monitoring",
}
# Grafana's built-in data sources.
BUILT_IN = {"grafana", "-- Grafana --"}
SECRET = re.compile(r"pass(word|wd)|secret|token|api_?key|credential", re.IGNORECASE)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def walk(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """All values with their keys."""
    yield key, content
    if isinstance(content, dict):
        for inner_key, value in content.items():
            yield from walk(value, inner_key)
    elif isinstance(content, list):
        for value in content:
            yield from walk(value, key)


def environment() -> dict[str, str]:
    lines = (FOLDER / "grafana.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def settings() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read_string((FOLDER / "grafana.ini").read_text())
    return parser


def places(kind: str) -> list[Resource]:
    return [place for place in read_access(FOLDER / "access.yml").resources if place.kind == kind]


def sources() -> dict[str, dict[str, Any]]:
    return {each["uid"]: each for path in (SOURCES, TRACES, LOGS) for each in read(path)["datasources"]}


@pytest.mark.parametrize("path", [SOURCES, TRACES, LOGS], ids=lambda path: path.name)
def test_data_sources_have_only_known_keys(path: Path) -> None:
    content = read(path)
    assert set(content) == {"apiVersion", "prune", "datasources"}
    assert content["apiVersion"] == 1
    for source in content["datasources"]:
        assert set(source) <= SOURCE_KEYS
        assert set(source["jsonData"]) <= JSON_KEYS[source["type"]]
        assert source["access"] == "proxy"
        assert source["editable"] is False


def test_there_is_one_default_source_and_it_is_prometheus() -> None:
    assert [uid for uid, source in sources().items() if source.get("isDefault")] == ["prometheus"]


def test_a_step_is_the_export_interval_of_the_services() -> None:
    interval = sources()["prometheus"]["jsonData"]["timeInterval"]
    assert interval == f"{int(DEFAULTS['OTEL_METRIC_EXPORT_INTERVAL']) // 1000}s"


def test_sources_refer_to_existing_sources() -> None:
    known = sources()
    named = [
        value for key, value in walk([source["jsonData"] for source in known.values()]) if key.lower().endswith("uid")
    ]
    assert named
    assert set(named) <= set(known)


@pytest.mark.parametrize("path", sorted(DASHBOARDS.glob("*.json")), ids=lambda path: path.stem)
def test_dashboards_use_existing_sources(path: Path) -> None:
    named = [content for key, content in walk(json.loads(path.read_text())) if key == "datasource"]
    # The option of an alert list is a name, not a uid.
    names = {source["name"] for source in sources().values()}
    used = {content["uid"] for content in named if isinstance(content, dict)}
    assert used <= {*sources(), *BUILT_IN, "${datasource}"}
    assert {content for content in named if not isinstance(content, dict)} <= names


def test_urls_come_from_variables_with_defaults() -> None:
    used = {source["url"].removeprefix("$") for source in read(SOURCES)["datasources"]}
    used |= set(re.findall(r"\$__env\{(\w+)\}", (FOLDER / "grafana.ini").read_text()))
    assert used == set(environment())
    assert [source["url"] for source in read(TRACES)["datasources"]] == ["$TRACES_URL"]


def test_each_audience_has_a_folder_with_only_its_dashboard() -> None:
    content = read(PROVIDERS)
    assert set(content) == {"apiVersion", "providers"}
    assert [provider["folderUid"] for provider in content["providers"]] == list(AUDIENCES)
    for provider in content["providers"]:
        assert set(provider) == PROVIDER_KEYS
        assert provider["type"] == "file"
        assert provider["disableDeletion"] is True
        assert provider["allowUiUpdates"] is False
        assert provider["options"] == {"path": f"/etc/grafana/dashboards/{provider['name']}"}


@pytest.mark.parametrize("audience", AUDIENCES.values())
def test_the_dashboard_of_each_audience_exists(audience: str) -> None:
    path = DASHBOARDS / f"trust-service-{audience}.json"
    assert path.name in PROVIDERS.read_text()
    assert json.loads(path.read_text())["uid"] == path.stem


def test_a_config_map_has_room_for_all_dashboards() -> None:
    # The API server refuses more than 1 MiB.
    assert sum(file.stat().st_size for file in DASHBOARDS.iterdir()) < 0.9 * 2**20


def test_access_is_defined_for_exactly_the_existing_folders() -> None:
    decided = {place.uid: place.title for place in places("folder")}
    assert decided == {provider["folderUid"]: provider["folder"] for provider in read(PROVIDERS)["providers"]}


def test_access_is_defined_for_exactly_the_existing_dashboards() -> None:
    assert [place.uid for place in places("dashboard")] == [f"trust-service-{each}" for each in AUDIENCES.values()]


def test_a_new_folder_is_visible_to_nobody() -> None:
    resources = settings()["rbac"]["resources_with_managed_permissions_on_creation"]
    assert "folder" not in resources


def test_only_security_and_compliance_see_client_addresses() -> None:
    security = next(place for place in places("folder") if place.uid == "trust-security")
    assert set(security.teams) == {"security", "compliance"}
    assert not security.service_accounts


def test_no_file_contains_a_secret() -> None:
    for path in sorted(FOLDER.rglob("*.yml")):
        for key, value in walk(read(path)):
            assert not SECRET.search(key) or isinstance(value, dict), f"{path}: {key}"
    assert not [name for name in environment() if SECRET.search(name)]
    parser = settings()
    secret = {
        f"{section}.{key}": value
        for section in parser.sections()
        for key, value in parser[section].items()
        if SECRET.search(key) and not key.endswith(("_limit", "_seconds_to_live"))
    }
    assert secret == {
        "security.admin_password": "$__file{/run/secrets/grafana/admin-password}",
        "security.secret_key": "$__file{/run/secrets/grafana/secret-key}",
    }


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("auth.anonymous", "enabled", "false"),
        ("users", "allow_sign_up", "false"),
        ("users", "auto_assign_org_role", "Viewer"),
        ("security", "cookie_secure", "true"),
        ("security", "strict_transport_security", "true"),
        ("security", "disable_gravatar", "true"),
        ("security", "allow_embedding", "false"),
        ("analytics", "reporting_enabled", "false"),
        ("snapshots", "enabled", "false"),
        ("public_dashboards", "enabled", "false"),
        ("server", "router_logging", "true"),
        ("metrics", "enabled", "true"),
        ("metrics", "disable_total_stats", "false"),
        ("analytics", "check_for_updates", "false"),
        ("analytics", "check_for_plugin_updates", "false"),
        ("analytics", "feedback_links_enabled", "false"),
        ("news", "news_feed_enabled", "false"),
        ("plugins", "plugin_admin_enabled", "false"),
        ("plugins", "preinstall_disabled", "true"),
        ("security", "content_security_policy", "true"),
        ("unified_alerting", "enabled", "true"),
        ("unified_alerting", "execute_alerts", "false"),
    ],
)
def test_the_settings_are_hardened(section: str, key: str, value: str) -> None:
    assert settings()[section][key] == value


def test_tokens_without_expiry_are_rejected() -> None:
    # The limit in days does not apply to tokens without expiry date.
    assert settings()["auth"]["api_key_max_seconds_to_live"] == str(int(LONGEST.total_seconds()))


def test_a_browser_loads_from_grafana_only() -> None:
    policy = settings()["security"]["content_security_policy_template"].strip('"')
    directives = {name: set(sources) for name, *sources in map(str.split, policy.rstrip(";").split(";"))}
    local = {"'self'", "'none'", "'unsafe-eval'", "'unsafe-inline'", "'strict-dynamic'", "$NONCE", "data:", "blob:"}
    assert set().union(*directives.values()) <= local | {"ws://$ROOT_PATH", "wss://$ROOT_PATH"}
    assert {"script-src", "style-src", "img-src", "font-src", "connect-src", "media-src"} <= set(directives)


def test_the_default_base_map_is_served_by_grafana() -> None:
    layer = json.loads(settings()["geomap"]["default_baselayer_config"].strip("`"))
    assert (layer["type"], layer["config"]["src"]) == ("geojson", "public/maps/countries.geojson")


def test_no_setting_has_an_internet_url() -> None:
    parser = settings()
    values = [value for section in parser.sections() for value in parser[section].values()]
    values += [str(value) for path in FOLDER.rglob("*.yml") for _, value in walk(read(path)) if isinstance(value, str)]
    values += environment().values()
    hosts = {host for value in values for host in re.findall(r"https?://([^/:]+)", value)}
    # Services in the same network, and Grafana.
    assert hosts <= {"prometheus", "alertmanager", "$__env{GRAFANA_DOMAIN}"}


def test_grafana_and_the_command_have_the_same_maximum_token_lifetime() -> None:
    assert settings()["service_accounts"]["token_expiration_day_limit"] == str(LONGEST.days)
