"""Objectives as OpenSLO files, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from tools.checks.promql import parse
from trust_ops.cli import main
from trust_ops.site_config import openslo
from trust_ops.site_config.errors import RenderError
from trust_ops.site_config.objectives import REQUIRED_LIMITS, Objective
from trust_ops.site_config.site_file import read_site

_ROOT = Path(__file__).parents[3]
_SCHEMA = Draft202012Validator(json.loads(Path(__file__).with_name("openslo.schema.json").read_text(encoding="utf-8")))
_DEMO = _ROOT / "examples/demo/site.yml"


def _declared(site: Path) -> tuple[Objective, ...]:
    return read_site(site.read_text(encoding="utf-8"), str(site)).objectives


_ALL = (
    *REQUIRED_LIMITS,
    *_declared(_DEMO),
    Objective(
        name="everything",
        description="Umlauts äöü, 'quotes' and: colons",
        service="Shop Ünit",
        namespace="eu",
        environment="production",
        indicator="latency",
        http_route='/items/{id}/"x"',
        target=0.9995,
        threshold_seconds=0.075,
        window="2w",
        page=False,
    ),
    Objective(name="calls", indicator="availability", protocol="grpc", target=0.99, window="3d", page=True),
    # A service with the name that stands for every service.
    Objective(name="odd", indicator="availability", service="every-service", target=0.99),
)

_FOREIGN = """
apiVersion: openslo/v1
kind: SLO
metadata:
  name: web-availability
  displayName: SLO for web availability
  labels: {team: [identity]}
  annotations: {trust-otel.indicator: availability, example.com/tier: "1"}
spec:
  description: X% of requests are successful
  service: web
  indicator:
    metadata: {name: web-successful-requests-ratio}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Prometheus, spec: {query: 'sum(requests{cluster="prod",code=~"2xx|4xx"})'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'sum(http_requests{k8s_cluster="prod"})'}}}
  timeWindow: [{duration: 2w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{displayName: Good, targetPercent: 99.95}]
"""


def foreign(path: str = "", value: Any = None) -> str:
    """The file of another tool, with one field changed."""
    document: Any = deepcopy(yaml.safe_load(_FOREIGN))
    node = document
    *parents, last = [int(step) if step.isdigit() else step for step in path.split("/")] if path else [None]
    for step in parents:
        node = node[step]
    if last is not None:
        node[last] = value
    return yaml.safe_dump(document)


@pytest.mark.parametrize("objective", _ALL, ids=lambda objective: objective.name)
def test_an_exported_objective_conforms_to_the_specification(objective: Objective) -> None:
    (document,) = yaml.safe_load_all(openslo.dump([objective]))
    assert [f"{error.json_path}: {error.message}" for error in _SCHEMA.iter_errors(document)] == []


@pytest.mark.parametrize("objective", _ALL, ids=lambda objective: objective.name)
def test_the_exported_queries_are_valid(objective: Objective) -> None:
    (document,) = yaml.safe_load_all(openslo.dump([objective]))
    metrics = document["spec"]["indicator"]["spec"]["ratioMetric"]
    for name in ("bad", "total"):
        parse(metrics[name]["metricSource"]["spec"]["query"])


def test_a_round_trip_keeps_everything() -> None:
    imported = openslo.load(openslo.dump(_ALL), "slos.yaml")
    assert imported.objectives == _ALL
    assert imported.notes == ()


def test_what_an_import_prints_declares_the_same_objectives(tmp_path: Path) -> None:
    file = tmp_path / "site.yml"
    unique = _ALL[3:]
    file.write_text(openslo.site_text(unique), encoding="utf-8")
    assert _declared(file) == unique


def test_an_annotated_file_of_another_tool_is_imported_with_notes() -> None:
    imported = openslo.load(_FOREIGN, "f")
    assert imported.objectives == (
        Objective(
            name="web-availability",
            description="X% of requests are successful",
            service="web",
            indicator="availability",
            target=0.9995,
            window="2w",
        ),
    )
    assert sorted(note.removeprefix("f: web-availability: ") for note in imported.notes) == [
        "metadata.annotations.example.com/tier is not kept",
        "metadata.displayName is not kept",
        "metadata.labels is not kept",
        "spec.indicator: its queries are replaced by those of trust-otel",
        "spec.objectives[0].displayName is not kept",
    ]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("apiVersion", "openslo/v1alpha", "apiVersion: 'openslo/v1alpha' is not openslo/v1"),
        ("kind", "AlertPolicy", "kind: 'AlertPolicy' cannot be imported, only SLO"),
        ("metadata", None, "metadata: it must be an object"),
        ("metadata/name", "Web", "metadata.name: use up to 63 lower-case letters"),
        ("metadata/annotations", {}, "spec.indicator: a query cannot be translated; add the annotation"),
        ("metadata/annotations", ["x"], "annotations: it must be an object"),
        (
            "metadata/annotations",
            {"trust-otel.indicator": "speed"},
            "metadata.annotations.trust-otel.indicator: use availability, latency or validation",
        ),
        (
            "metadata/annotations",
            {"trust-otel.indicator": "latency"},
            "spec: threshold_seconds: a latency objective needs",
        ),
        (
            "metadata/annotations",
            {"trust-otel.indicator": "latency", "trust-otel.threshold_seconds": "soon"},
            "metadata.annotations.trust-otel.threshold_seconds: use a number",
        ),
        ("spec/service", None, "spec.service: it is missing"),
        ("spec/indicatorRef", "other", "spec.indicatorRef: a reference is not followed"),
        (
            "spec/indicator/spec",
            {"thresholdMetric": {"metricSource": {}}},
            "spec.indicator.spec.thresholdMetric: only ratios of events",
        ),
        (
            "spec/indicator/spec/ratioMetric/raw",
            {"a": 1},
            "spec.indicator.spec.ratioMetric.raw: a ratio that is already",
        ),
        ("spec/timeWindow", [], "spec.timeWindow: it must be a list of one window"),
        ("spec/timeWindow/0/isRolling", False, "spec.timeWindow[0]: a window of the calendar is not supported"),
        ("spec/timeWindow/0/duration", "1M", "spec.timeWindow[0].duration: use whole days, at least 3"),
        ("spec/timeWindow/0/duration", "1d", "spec.timeWindow[0].duration: use whole days, at least 3"),
        ("spec/budgetingMethod", "Timeslices", "spec.budgetingMethod: 'Timeslices' is not supported"),
        ("spec/objectives", [], "spec.objectives: it must be a list of one objective"),
        ("spec/objectives", [{"target": 0.9}] * 2, "spec.objectives[1]: an SLO has one objective here"),
        ("spec/objectives/0", {}, "spec.objectives[0].target: exactly one of target and targetPercent"),
        ("spec/objectives/0/target", 0.9, "spec.objectives[0].target: exactly one of target and targetPercent"),
        ("spec/objectives/0/targetPercent", 100, "spec.objectives[0].target: use a share between 0 and 1"),
        ("spec/objectives/0/targetPercent", True, "spec.objectives[0].target: use a number"),
        ("spec/objectives/0/targetPercent", "99", "spec.objectives[0].target: use a number"),
        ("spec/objectives/0/targetPercent", float("nan"), "spec.objectives[0].target: use a share between 0 and 1"),
        ("spec/timeWindow/0/duration", 14, "spec.timeWindow[0].duration: use text; put it in quotes"),
        ("metadata/name", None, "metadata.name: it is missing"),
        ("spec/objectives/0/op", "lt", "spec.objectives[0].op: only ratios of events"),
        ("spec/objectives/0/value", 5, "spec.objectives[0].value: only ratios of events"),
        ("spec/objectives/0/timeSliceTarget", 0.9, "spec.objectives[0].timeSliceTarget: time slices are not counted"),
        ("spec/objectives/0/compositeWeight", 2, "spec.objectives[0].compositeWeight: composite SLOs"),
        ("spec/alertPolicies", [{"alertPolicyRef": "x"}], "spec.alertPolicies: trust-otel alerts by burn rate"),
        ("spec/surprise", 1, "spec.surprise: it is not a field of openslo/v1"),
        ("spec/objectives/0/surprise", 1, "spec.objectives[0].surprise: it is not a field of openslo/v1"),
    ],
)
def test_a_field_that_cannot_be_expressed_is_named_with_the_reason(path: str, value: Any, problem: str) -> None:
    with pytest.raises(RenderError) as raised:
        openslo.load(foreign(path, value), "f")
    assert problem in str(raised.value)
    assert str(raised.value).startswith("f: ")


@pytest.mark.parametrize("text", ["- 1\n- 2", "text", "a: [", "!!python/object:x {}", "? [a]\n: b", "[" * 3000])
def test_a_file_that_is_no_openslo_is_an_error(text: str) -> None:
    with pytest.raises(RenderError, match=r"^f: "):
        openslo.load(text, "f")


def test_a_field_that_is_set_twice_is_an_error() -> None:
    text = "apiVersion: openslo/v1\nkind: SLO\nspec: {budgetingMethod: Occurrences, budgetingMethod: Occurrences}\n"
    with pytest.raises(
        RenderError, match=r"^f: it is not valid YAML: budgetingMethod is set twice at line 3, column 38"
    ):
        openslo.load(text, "f")


@pytest.mark.parametrize("text", ["", "---\n---\n", "{apiVersion: openslo/v1, kind: Service}"])
def test_a_file_without_an_slo_is_noted(text: str) -> None:
    assert "f: it contains no SLO" in openslo.load(text, "f").notes


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_a_file_from_another_system_is_imported(change: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "slos.yaml"
    file.write_bytes(change(_FOREIGN).encode())
    result = CliRunner().invoke(main, ["slo", "import", str(file)])
    assert result.exit_code == 0
    assert "name: web-availability" in result.stdout


def test_other_objects_of_a_file_are_noted() -> None:
    text = f"{_FOREIGN}\n---\n{{apiVersion: openslo/v1, kind: Service, metadata: {{name: web}}, spec: {{}}}}\n"
    imported = openslo.load(text, "f")
    assert len(imported.objectives) == 1
    assert "f: web: a Service is not imported" in imported.notes


def test_the_commands_export_and_import(tmp_path: Path) -> None:
    runner = CliRunner()
    exported = runner.invoke(main, ["slo", "export", "--site", str(_DEMO)])
    assert exported.exit_code == 0
    file = tmp_path / "slos.yaml"
    file.write_text(exported.output, encoding="utf-8")
    imported = runner.invoke(main, ["slo", "import", str(file)])
    assert imported.exit_code == 0
    again = tmp_path / "site.yml"
    again.write_text(imported.output, encoding="utf-8")
    assert _declared(again) == _declared(_DEMO)


def test_a_failed_import_prints_no_objectives(tmp_path: Path) -> None:
    file = tmp_path / "slos.yaml"
    file.write_text(f"{_FOREIGN}\n---\n{foreign('kind', 'SLI')}", encoding="utf-8")
    result = CliRunner().invoke(main, ["slo", "import", str(file)])
    assert result.exit_code == 1
    assert "kind: 'SLI' cannot be imported" in result.stderr
    assert result.stdout == ""


def test_the_problems_of_all_files_are_reported(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.yaml", "two.yaml", "three.yaml", "four.yaml")]
    for file, text in zip(files, [_FOREIGN, _FOREIGN, foreign("kind", "SLI"), "\xff"], strict=True):
        file.write_text(text, encoding="latin-1")
    result = CliRunner().invoke(main, ["slo", "import", *map(str, files)])
    assert result.exit_code == 1
    assert "web-availability: another objective has this name; rename one" in result.stderr
    assert f"{files[2]}: web-availability: kind: 'SLI' cannot be imported" in result.stderr
    assert f"{files[3]}: it is not UTF-8" in result.stderr
    assert "save it as UTF-8" in result.stderr
    assert result.stdout == ""
