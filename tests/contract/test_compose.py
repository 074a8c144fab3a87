"""monitoring/compose/: mounted files exist, what runs is pinned and hardened, and nothing has a default password."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "monitoring" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PUBLISHED = {"grafana": 3000, "prometheus": 9090, "trust-service": 8000}
# Made by `prepare`, `up` or the user; / is the machine, for node_exporter.
_MADE = ("./secrets/", "./data/", "../.env", "/")


def _mounts(service: dict[str, Any]) -> list[str]:
    return [volume.partition(":")[0] for volume in service.get("volumes", [])]


each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@each_service
def test_every_mounted_file_exists(service: dict[str, Any]) -> None:
    for source in _mounts(service):
        assert source.startswith(_MADE) or (FOLDER / source).exists(), source


@each_service
def test_only_data_is_writable(service: dict[str, Any]) -> None:
    for volume in service.get("volumes", []):
        assert volume.endswith(":ro") or volume.startswith("./data/"), volume


@each_service
def test_images_have_a_registry_and_a_version(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z]+(\.[a-z]+)+/[a-z0-9/_-]+:v?\d+(\.\d+)*", service["image"])


@each_service
def test_containers_are_hardened_and_limited(service: dict[str, Any]) -> None:
    assert service["user"].startswith("${STACK_USER:?")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit", "healthcheck"} <= service.keys()
    assert not {"privileged", "cap_add"} & service.keys()


def test_only_images_without_a_program_to_ask_with_have_no_health_check() -> None:
    without = {name for name, service in SERVICES.items() if "test" not in service["healthcheck"]}
    assert without == {"alertmanager-config", "collector", "redis-exporter"}


def test_ports_are_published_on_loopback_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in PUBLISHED.items()}


def test_networks_without_a_published_port_or_notifications_are_internal() -> None:
    open_networks = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert open_networks == {"published", "outgoing"}
    members = {name for name, service in SERVICES.items() if "published" in service.get("networks", [])}
    assert members == PUBLISHED.keys()


def test_no_password_is_in_the_files_and_no_variable_has_a_default() -> None:
    for file in (each for each in FOLDER.iterdir() if each.is_file()):
        assert not re.search(r"\$\{\w+:?-", file.read_text()), file
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            assert name.endswith("_FILE") or not re.search("PASSWORD|TOKEN|SECRET_KEY", name), name
    assert set(re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text())) == {"STACK_USER"}


def test_targets_are_services() -> None:
    for file in (FOLDER / "targets").iterdir():
        for group in json.loads(file.read_text()):
            for target in group["targets"]:
                name = target.partition(":")[0]
                assert set(SERVICES[name]["networks"]) & set(SERVICES["prometheus"]["networks"]), target


def test_data_sources_are_those_of_provisioning_with_a_certificate() -> None:
    shared = FOLDER.parent / "provisioning" / "datasources" / "trust-service.yml"
    expected = yaml.safe_load(shared.read_text())
    prometheus = expected["datasources"][0]
    prometheus["jsonData"] |= {"tlsAuth": True, "tlsAuthWithCACert": True}
    names = {"tlsCACert": "ca.crt", "tlsClientCert": "tls.crt", "tlsClientKey": "tls.key"}
    prometheus["secureJsonData"] = {key: f"$__file{{/run/secrets/grafana/{file}}}" for key, file in names.items()}
    assert yaml.safe_load((FOLDER / "datasources.yml").read_text()) == expected
