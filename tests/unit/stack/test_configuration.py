"""The configuration files agree with each other and with the pinned versions."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from trust_ops.stack import files
from trust_ops.stack.recipes import MINIMUM_GO, binaries


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_the_manifest_has_the_pinned_version() -> None:
    manifest, version = read(files.collector_manifest()), binaries()["collector"].version
    assert manifest["dist"]["version"] == version
    assert manifest["dist"]["name"] == "otelcol-trust"
    for kind in ("receivers", "processors", "exporters", "extensions"):
        assert {module["gomod"].split(" ")[1] for module in manifest[kind]} == {f"v{version}"}


def test_the_prometheus_module_has_the_pinned_version() -> None:
    go_mod = files.go_module("prometheus")[0].read_text()
    # Prometheus 3.12.0 is the Go module version 0.312.0.
    major, minor, patch = binaries()["prometheus"].version.split(".")
    assert f"github.com/prometheus/prometheus v0.{major}{minor}.{patch}" in go_mod
    assert re.search(rf"^go {re.escape(MINIMUM_GO)}", go_mod, re.MULTILINE)


def test_both_paths_promote_the_same_resource_attributes() -> None:
    transform = read(files.collector_config())["processors"]["transform/promote_resource_attributes"]
    copied = []
    for statement in transform["metric_statements"]:
        match = re.fullmatch(r'set\(datapoint\.attributes\["(.+)"\], resource\.attributes\["(.+)"\]\)', statement)
        assert match is not None
        assert match[1] == match[2]
        copied.append(match[1])
    assert copied == read(files.prometheus_config())["otlp"]["promote_resource_attributes"]


def test_the_collector_is_configured_to_lose_no_data() -> None:
    config = read(files.collector_config())
    assert not any(name.startswith("batch") for name in config["processors"])
    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
    exporter = config["exporters"]["otlp_http/prometheus"]
    assert exporter["sending_queue"]["storage"] == "file_storage"
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


def test_every_configured_rule_file_is_in_the_configuration_folder() -> None:
    config, *rules = files.prometheus_files()
    assert read(config)["rule_files"] == [file.name for file in rules]
    assert {file.parent for file in rules} == {config.parent}


def test_each_job_has_its_own_targets_and_alertmanagers_are_notified() -> None:
    config = read(files.prometheus_config())
    jobs = {job["job_name"]: job["file_sd_configs"][0]["files"] for job in config["scrape_configs"]}
    assert jobs == {
        "prometheus": ["targets/prometheus*.json"],
        "otel-collector": ["targets/collector*.json"],
        "alertmanager": ["targets/alertmanager*.json"],
        "grafana": ["targets/grafana*.json"],
        "trust-service": ["targets/trust-service*.json"],
        "node": ["targets/node*.json"],
        "postgres": ["targets/postgres*.json"],
        "redis": ["targets/redis*.json"],
        "kube-state-metrics": ["targets/kube-state-metrics*.json"],
        "kubelet": ["targets/kubelet*.json"],
    }
    (alertmanagers,) = config["alerting"]["alertmanagers"]
    assert alertmanagers["file_sd_configs"][0]["files"] == jobs["alertmanager"]


def test_labels_are_honored_for_jobs_that_export_other_targets() -> None:
    config = read(files.prometheus_config())
    honored = {job["job_name"] for job in config["scrape_configs"] if job.get("honor_labels")}
    assert honored == {"trust-service", "kube-state-metrics", "kubelet"}


def test_the_queue_size_of_the_collector_is_configurable() -> None:
    queue = read(files.collector_config())["exporters"]["otlp_http/prometheus"]["sending_queue"]
    assert queue["queue_size"] == "${env:TRUST_OTEL_STACK_COLLECTOR_QUEUE_SIZE:-1000000}"


def test_everything_listens_on_loopback_only() -> None:
    text = files.collector_config().read_text()
    assert set(re.findall(r"endpoint: (\S+?):?\$\{env:\w+_PORT\}", text)) == {"127.0.0.1"}
    assert "0.0.0.0" not in text
    assert "localhost" not in text


def test_an_installed_package_uses_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "collector" / "local.yaml"
    packaged.parent.mkdir()
    packaged.touch()
    monkeypatch.setattr(files, "_PACKAGED", tmp_path)
    assert files.collector_config() == packaged


def test_missing_file_error_lists_the_searched_paths() -> None:
    with pytest.raises(FileNotFoundError, match=r"collector/no.yaml is missing: searched .*files/collector/no.yaml"):
        files.project_file("collector/no.yaml")
