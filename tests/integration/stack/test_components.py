"""All optional components run together."""

import json
from pathlib import Path

from trust_ops.stack import Inputs, Stack, Target
from trust_ops.stack.components import COMPONENTS

INPUTS = Inputs(
    alertmanager_config=Path("/etc/alertmanager.yml"),
    postgresql="postgresql://primary",
    postgresql_standby="postgresql://standby",
    redis="redis://cache",
)


def targets(directory: Path) -> dict[str, list[dict[str, object]]]:
    return {file.stem: json.loads(file.read_text()) for file in (directory / "prometheus" / "targets").glob("*.json")}


def test_all_components_start_and_earlier_scrape_targets_are_removed(
    tmp_path: Path, fake_binaries: dict[str, str]
) -> None:
    everything = Stack(tmp_path, components=tuple(COMPONENTS), inputs=INPUTS, environ=fake_binaries)
    with everything:
        everything.up()
        assert [component.name for component in everything.status() if component.healthy] == list(COMPONENTS)
        everything.scrape("kubelet", [Target("127.0.0.1:1", {"node": "worker-1"})])
        everything.kill("prometheus")
        everything.start("prometheus")
        assert targets(tmp_path)["kubelet"] == [{"targets": ["127.0.0.1:1"], "labels": {"node": "worker-1"}}]
        assert len(targets(tmp_path)) == len(COMPONENTS) + 1
    with Stack(tmp_path, environ=fake_binaries) as stack:
        stack.up()
        assert set(targets(tmp_path)) == {"prometheus", "collector"}
