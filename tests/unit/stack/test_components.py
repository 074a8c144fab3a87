"""The optional components: their command lines and their scrape targets."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from trust_ops.stack import Addresses, ComponentError, Inputs, Stack
from trust_ops.stack.components import COMPONENTS, Launch, StartContext
from trust_ops.stack.files import prometheus_files
from trust_ops.stack.recipes import binaries
from trust_ops.stack.state import port_of

INPUTS = Inputs(
    alertmanager_config=Path("/etc/alertmanager.yml"),
    postgresql="postgresql://primary",
    postgresql_standby="postgresql://standby",
    redis="redis://cache",
)


def start(tmp_path: Path, *components: str, inputs: Inputs = INPUTS) -> StartContext:
    return StartContext(Path("/bin/thing"), tmp_path, Addresses.on_free_ports(), inputs, frozenset(components))


def launch(start: StartContext, name: str) -> Launch:
    return COMPONENTS[name].prepare(start)


def listens(launched: Launch) -> list[int]:
    """The ports in the arguments that name an address to listen on."""
    flat = " ".join(launched.command).replace("=", " ").split()
    return [
        int(address.rsplit(":")[-1])
        for flag, address in pairwise(flat)
        if flag.endswith("listen-address") and address.startswith("127.0.0.1:")
    ]


def targets(directory: Path) -> dict[str, list[dict[str, object]]]:
    return {file.stem: json.loads(file.read_text()) for file in (directory / "prometheus" / "targets").glob("*.json")}


def test_every_component_has_a_binary_and_its_own_address() -> None:
    addresses = Addresses.on_free_ports()
    assert {component.binary for component in COMPONENTS.values()} < set(binaries())
    assert len({component.address(addresses) for component in COMPONENTS.values()}) == len(COMPONENTS)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("alertmanager", "alertmanager"),
        ("alertmanager-2", "alertmanager-2"),
        ("node-exporter", "node"),
        ("postgres-exporter", "postgres"),
        ("postgres-exporter-standby", "postgres-standby"),
        ("redis-exporter", "redis"),
    ],
)
def test_a_component_listens_on_loopback_and_is_scraped(tmp_path: Path, name: str, file: str) -> None:
    started = start(tmp_path, name)
    port = port_of(COMPONENTS[name].address(started.addresses))
    assert listens(launch(started, name)) == [port]
    assert targets(tmp_path) == {file: [{"targets": [f"127.0.0.1:{port}"], "labels": {}}]}


def test_a_single_alertmanager_has_no_cluster(tmp_path: Path) -> None:
    assert "--cluster.listen-address=" in launch(start(tmp_path, "alertmanager"), "alertmanager").command


def test_two_alertmanagers_have_each_other_as_peers(tmp_path: Path) -> None:
    started = start(tmp_path, "alertmanager", "alertmanager-2")
    first, second = (launch(started, name).command for name in ("alertmanager", "alertmanager-2"))

    def of(command: list[str], flag: str) -> str:
        (found,) = [argument.partition("=")[2] for argument in command if argument.startswith(f"--cluster.{flag}=")]
        return found

    assert of(first, "listen-address") == of(first, "advertise-address") == of(second, "peer")
    assert of(second, "listen-address") == of(second, "advertise-address") == of(first, "peer")
    storages = [argument for command in (first, second) for argument in command if "--storage" in argument]
    assert len(set(storages)) == 2


def test_passwords_are_not_on_command_lines(tmp_path: Path) -> None:
    secret = Inputs(postgresql="postgresql://u:secret@h", redis="redis://u:secret@h")
    for name in ("postgres-exporter", "redis-exporter"):
        launched = launch(start(tmp_path, name, inputs=secret), name)
        assert "secret" not in " ".join(launched.command)
        assert "secret" in " ".join(launched.environment.values())


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("alertmanager", "alertmanager_config"),
        ("alertmanager-2", "alertmanager_config"),
        ("postgres-exporter", "postgresql"),
        ("postgres-exporter-standby", "postgresql_standby"),
        ("redis-exporter", "redis"),
    ],
)
def test_a_component_without_its_input_is_rejected(tmp_path: Path, name: str, field: str) -> None:
    message = rf"{name} cannot be started: pass Inputs\({field}=\.\.\.\)"
    with pytest.raises(ComponentError, match=message):
        Stack(tmp_path, components=(name,))
    with pytest.raises(ComponentError, match=message):
        Stack(tmp_path, environ={}).start(name)


def test_the_collector_sends_to_prometheus_by_default(tmp_path: Path) -> None:
    started = start(tmp_path, "collector")
    environment = launch(started, "collector").environment
    assert environment["TRUST_OTEL_STACK_PROMETHEUS_URL"] == started.addresses.prometheus
    assert "TRUST_OTEL_STACK_COLLECTOR_QUEUE_SIZE" not in environment
    other = Inputs(collector_sends_to="http://127.0.0.1:1", collector_queue_size=20)
    environment = launch(start(tmp_path, "collector", inputs=other), "collector").environment
    assert environment["TRUST_OTEL_STACK_PROMETHEUS_URL"] == "http://127.0.0.1:1"
    assert environment["TRUST_OTEL_STACK_COLLECTOR_QUEUE_SIZE"] == "20"


def test_prometheus_uses_the_projects_configuration_or_that_of_a_folder(tmp_path: Path) -> None:
    launch(start(tmp_path / "own", "prometheus"), "prometheus")
    copied = (tmp_path / "own" / "prometheus").glob("*.yml")
    assert {file.name: file.read_bytes() for file in copied} == {
        file.name: file.read_bytes() for file in prometheus_files()
    }
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "prometheus.yml").write_text("rule_files: [more.yml]")
    (folder / "more.yml").write_text("groups: []")
    launch(start(tmp_path / "run", "prometheus", inputs=Inputs(prometheus_config=folder)), "prometheus")
    copied = (tmp_path / "run" / "prometheus").glob("*.yml")
    assert {file.name for file in copied} == {"prometheus.yml", "more.yml"}
