"""The rules of a site fire at its thresholds, in its namespaces and for its methods, and not at the published ones."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from os import environ
from pathlib import Path

import yaml

from tools.checks.variables import as_sent
from trust_ops.site_config.dashboards import dashboards
from trust_ops.site_config.rules import rule_files
from trust_ops.site_config.site import DEFAULTS, Site
from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import binaries

SITE = Site.model_validate_json(
    """{
    "thresholds": {"TrustServiceHighLatency": 3, "TrustContainerRestartLoop": 5},
    "kubernetes": {"namespaces": ["payments"]},
    "critical": {"grpc_methods": ["Seal"]}
    }"""
)

_REQUESTS = "http_server_request_duration_seconds"
_CALLS = "rpc_server_call_duration_seconds"
_BOUNDS = ("0.5", "1", "2", "2.5", "5", "10", "+Inf")


def histogram(name: str, labels: str, slowest: str, number: int = 10) -> Iterator[dict[str, str]]:
    """Requests per step, all in the bucket up to `slowest`."""
    for bound in _BOUNDS:
        counted = number if float(bound) >= float(slowest) else 0
        yield {"series": f'{name}_bucket{{{labels}, le="{bound}"}}', "values": f"0+{counted}x60"}
    yield {"series": f"{name}_count{{{labels}}}", "values": f"0+{number}x60"}


def requests(service: str, slowest: str, route: str = "/", number: int = 10) -> Iterator[dict[str, str]]:
    labels = f'service_name="{service}", service_namespace="trust", deployment_environment_name="production"'
    return histogram(_REQUESTS, f'{labels}, service_instance_id="1", http_route="{route}"', slowest, number)


def calls(method: str) -> Iterator[dict[str, str]]:
    labels = 'service_name="signer", service_namespace="trust", deployment_environment_name="production"'
    more = f'service_instance_id="1", rpc_method="trust.v1.Trust/{method}", trust_rpc_type="unary"'
    return histogram(_CALLS, f"{labels}, {more}", "2.5")


def restarts(namespace: str, pod: str, number: int) -> Iterator[dict[str, str]]:
    labels = f'namespace="{namespace}", pod="{pod}", uid="{pod}"'
    yield {"series": f'kube_pod_info{{{labels}, node="node-1", host_network="false"}}', "values": "1x60"}
    values = " ".join(["0x20", *map(str, range(1, number + 1)), f"{number}x30"])
    yield {"series": f'kube_pod_container_status_restarts_total{{{labels}, container="main"}}', "values": values}


SERIES = [
    *requests("documents", "5", "/v1/documents/{id}"),
    *requests("documents", "0.5", "/v1/health", number=1000),
    *requests("slow", "2.5"),
    *requests("slower", "5"),
    *calls("Sign"),
    *calls("Seal"),
    *restarts("payments", "some", 4),
    *restarts("payments", "many", 7),
    *restarts("billing", "other", 7),
]
"""The p95 latencies are 2.475 s and 4.875 s. The restarts are within 15 minutes."""


def disagreement(
    site: Site,
    folder: Path,
    expected: Mapping[tuple[str, str], Sequence[str]],
    shown: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """What promtool says if other alerts fire, or panels show other services, than expected.

    Args:
        expected: By name of the alert and label, the values of the label.
        shown: By PromQL, the services in its result.
    """
    firing = {
        f'count by ({label}) (ALERTS{{alertname="{alert}", alertstate="firing"}})': (label, values)
        for (alert, label), values in expected.items()
    }
    panels = {f"count by (service_name) ({query})": ("service_name", found) for query, found in (shown or {}).items()}
    for name, text in rule_files(site).items():
        (folder / name).write_text(text, encoding="utf-8")
    unit_test = {
        "rule_files": [*rule_files(site)],
        "evaluation_interval": "10s",
        "tests": [
            {
                "interval": "10s",
                "input_series": SERIES,
                "promql_expr_test": [
                    {
                        "expr": query,
                        "eval_time": "9m",
                        "exp_samples": [{"labels": f'{{{label}="{value}"}}', "value": 1} for value in values],
                    }
                    for query, (label, values) in {**firing, **panels}.items()
                ],
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(unit_test), encoding="utf-8")
    promtool = find(binaries()["promtool"], environ, print)
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_the_published_rules_fire_at_the_published_values(tmp_path: Path) -> None:
    expected = {
        ("TrustServiceHighLatency", "service_name"): ["slow", "slower"],
        ("TrustContainerRestartLoop", "pod"): ["some", "many", "other"],
        ("TrustGrpcHighLatency", "rpc_method"): ["trust.v1.Trust/Sign"],
    }
    assert disagreement(DEFAULTS, tmp_path, expected) == ""


def test_the_rules_of_a_site_fire_at_its_values(tmp_path: Path) -> None:
    expected = {
        ("TrustServiceHighLatency", "service_name"): ["slower"],
        ("TrustContainerRestartLoop", "pod"): ["many"],
        ("TrustGrpcHighLatency", "rpc_method"): ["trust.v1.Trust/Seal"],
    }
    assert disagreement(SITE, tmp_path, expected) == ""


def test_only_the_routes_of_a_site_fire(tmp_path: Path) -> None:
    routes = Site.model_validate_json('{"critical": {"http_routes": ["/v1/documents/{id}", "/v1/sign"]}}')
    firing = {("TrustServiceHighLatency", "service_name"): ["documents"]}
    shown = {f"{query} > 2": ["documents"] for query in _latencies(routes)}
    assert disagreement(routes, tmp_path, firing, shown) == ""


def test_panels_show_the_latency_that_alerts(tmp_path: Path) -> None:
    shown = {f"{query} > 2": ["slow", "slower"] for query in _latencies(DEFAULTS)}
    assert disagreement(DEFAULTS, tmp_path, {}, shown) == ""


def _latencies(site: Site) -> list[str]:
    """The p95 latency in the two panels that have a threshold for it, for all services."""
    panels = {
        panel["id"]: {target["refId"]: target["expr"] for target in panel.get("targets", [])}
        for panel in json.loads(dashboards(site)["dashboards/trust-service-operational.json"])["panels"]
    }
    (by_service,) = (each for each in panels[1].values() if "p95_rate2m" in each)
    graph = panels[2]["C"]
    assert graph.startswith("histogram_quantile(0.95")
    # The graph has a line for all services.
    graph = graph.replace("sum by (le)", "sum by (le, service_name)")
    return [as_sent(query, seconds=3600, step_seconds=15) for query in (by_service, graph)]
