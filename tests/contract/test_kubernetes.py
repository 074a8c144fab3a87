"""The manifests in monitoring/k8s: hardened, complete, and reachable only where an arrow is drawn."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.k8s.rendering import KUBERNETES_SOURCES, RENDERED, SOURCES, data_sources, manifests
from trust_ops.site_config import variables
from trust_ops.stack.binaries import find
from trust_ops.stack.errors import BinaryUnavailable
from trust_ops.stack.recipes import binaries

ROOT = Path(__file__).parents[2]
NODE_EXPORTER = "node-exporter"

# Who may open a connection to whom, and on which ports.
ARROWS = {
    ("any namespace", "trust-otel-agent"): {4317, 4318},
    ("trust-otel-agent", "trust-otel-gateway"): {4317},
    ("trust-otel-gateway", "prometheus"): {9090},
    ("grafana", "prometheus"): {9090},
    ("grafana", "alertmanager"): {9093},
    ("prometheus", "trust-otel-agent"): {8888},
    ("prometheus", "trust-otel-gateway"): {8888},
    ("prometheus", "alertmanager"): {9093},
    ("prometheus", "grafana"): {3000},
    ("prometheus", "postgres-exporter"): {9187},
    ("prometheus", "redis-exporter"): {9121},
    ("prometheus", "kube-state-metrics"): {8080},
    ("prometheus", "node-exporter"): {9100},
    ("ingress-nginx", "prometheus"): {9090},
    ("ingress-nginx", "grafana"): {3000},
    ("ingress-nginx", "alertmanager"): {9093},
}

# What leaves the namespace, to addresses that are not known here.
OUTSIDE = {
    "trust-otel-agent": {443, 6443},
    "prometheus": {443, 6443, 9100, 10250},
    "kube-state-metrics": {443, 6443},
    "alertmanager": {443, 465, 587},
    "postgres-exporter": {5432},
    "redis-exporter": {6379},
}

# Namespace (None: all), resource, verbs.
RIGHTS = {
    "prometheus": {
        ("monitoring", "pods", "get list watch"),
        ("monitoring-node", "pods", "get list watch"),
        (None, "nodes", "get list watch"),
        (None, "nodes/metrics", "get"),
    },
    "kube-state-metrics": {(None, "nodes", "list watch"), (None, "pods", "list watch")},
    "trust-otel-agent": {(None, "pods", "get list watch"), (None, "replicasets", "get list watch")},
}

DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(RENDERED.read_text(encoding="utf-8")))


def of_kind(*kinds: str) -> Iterator[dict[str, Any]]:
    return (document for document in DOCUMENTS if document["kind"] in kinds)


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (document for document in of_kind(kind) if document["metadata"]["name"] == name)
    return found


WORKLOADS = {each["metadata"]["name"]: each for each in of_kind("Deployment", "StatefulSet", "DaemonSet")}


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return found


def containers(name: str) -> list[dict[str, Any]]:
    return [*pod(name).get("initContainers", []), *pod(name)["containers"]]


@pytest.fixture(scope="module")
def kustomize() -> Path:
    try:
        return find(binaries()["kustomize"], os.environ, lambda _: None)
    except BinaryUnavailable as error:
        pytest.skip(str(error))


def test_data_sources_are_the_shared_ones_with_a_certificate() -> None:
    assert KUBERNETES_SOURCES.read_text(encoding="utf-8") == data_sources()
    shared, own = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (SOURCES, KUBERNETES_SOURCES))
    prometheus = own["datasources"][0]
    secure = prometheus.pop("secureJsonData")
    assert set(secure) == {"tlsCACert", "tlsClientCert", "tlsClientKey"}
    assert prometheus["jsonData"].pop("tlsAuth") is prometheus["jsonData"].pop("tlsAuthWithCACert") is True
    assert own == shared
    mounts = {mount["name"]: mount["mountPath"] for mount in containers("grafana")[0]["volumeMounts"]}
    assert {Path(value.removeprefix("$__file{").removesuffix("}")).parent for value in secure.values()} == {
        Path(mounts["tls"])
    }


@pytest.mark.parametrize("name", ["development", "production"])
def test_an_overlay_changes_values_only(kustomize: Path, name: str) -> None:
    overlay = list(yaml.safe_load_all(manifests(kustomize, RENDERED.parent / "overlays" / name)))
    assert [_leaves(document) for document in overlay] == [_leaves(document) for document in DOCUMENTS]
    hosts = next(each["data"] for each in overlay if each["metadata"]["name"] == "monitoring-hosts")
    pages = [each for each in overlay if each["kind"] == "Ingress"]
    for page in pages:
        assert page["spec"]["rules"][0]["host"] == page["spec"]["tls"][0]["hosts"][0] == hosts[page["metadata"]["name"]]
    args = next(each for each in overlay if each["kind"] == "Deployment" and each["metadata"]["name"] == "prometheus")
    assert "--storage.tsdb.retention.time=15d" in args["spec"]["template"]["spec"]["containers"][0]["args"]


def _leaves(node: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if isinstance(node, dict):
        return {leaf for key, value in node.items() for leaf in _leaves(value, (*path, str(key)))}
    if isinstance(node, list):
        return {leaf for index, value in enumerate(node) for leaf in _leaves(value, (*path, str(index)))}
    return {path}


def test_the_checked_in_file_is_what_the_base_renders_to(kustomize: Path) -> None:
    assert RENDERED.read_text(encoding="utf-8") == manifests(kustomize), "run `make generate`"


def test_it_has_every_component() -> None:
    assert set(WORKLOADS) == {
        *("prometheus", "alertmanager", "grafana", "trust-otel-agent", "trust-otel-gateway"),
        *("node-exporter", "postgres-exporter", "redis-exporter", "kube-state-metrics"),
    }
    assert WORKLOADS["trust-otel-agent"]["kind"] == "DaemonSet"
    assert WORKLOADS["trust-otel-gateway"]["kind"] == "StatefulSet"


def test_everything_is_in_the_namespace_but_node_exporter_and_cluster_rights() -> None:
    elsewhere = {
        (document["kind"], document["metadata"]["name"])
        for document in DOCUMENTS
        if document["metadata"].get("namespace") not in {None, "monitoring"}
    }
    assert elsewhere == {
        ("ServiceAccount", NODE_EXPORTER),
        ("DaemonSet", NODE_EXPORTER),
        ("NetworkPolicy", NODE_EXPORTER),
        ("NetworkPolicy", "default-deny"),
        ("Role", "prometheus"),
        ("RoleBinding", "prometheus"),
    }


def test_volumes_and_retention_are_the_required_ones() -> None:
    claims = {
        claim["metadata"]["name"]: claim["spec"]["resources"]["requests"]["storage"]
        for claim in of_kind("PersistentVolumeClaim")
    }
    assert claims == {"prometheus": "50Gi", "alertmanager": "5Gi", "grafana": "10Gi"}
    assert "--storage.tsdb.retention.time=15d" in pod("prometheus")["containers"][0]["args"]


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "grafana"])
def test_a_restart_frees_the_volume_first(name: str) -> None:
    assert WORKLOADS[name]["spec"]["strategy"] == {"type": "Recreate"}


def test_namespaces_enforce_pod_security() -> None:
    levels = {
        each["metadata"]["name"]: each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for each in of_kind("Namespace")
    }
    assert levels == {"monitoring": "restricted", "monitoring-node": "privileged"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_is_restricted(name: str) -> None:
    security = pod(name)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(name):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    host = {key for key in ("hostNetwork", "hostPID", "hostIPC") if pod(name).get(key)}
    kinds = {key for volume in pod(name).get("volumes", []) for key in volume} - {"name"}
    if name == NODE_EXPORTER:
        assert (host, kinds) == ({"hostNetwork"}, {"hostPath"})
        (container,) = containers(name)
        assert all(mount["readOnly"] for mount in container["volumeMounts"])
    else:
        assert host == set()
        assert kinds <= {"configMap", "projected", "secret", "emptyDir", "persistentVolumeClaim"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_containers_have_limits_probes_and_pinned_images(name: str) -> None:
    for container in containers(name):
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert re.fullmatch(r"[a-z0-9.]+/[a-z0-9_/-]+:v?\d+\.\d+\.\d+", container["image"])
    for container in pod(name)["containers"]:
        assert {"readinessProbe", "livenessProbe"} <= set(container)


def test_our_images_have_the_version_of_the_project() -> None:
    ours = {
        container["image"]
        for name in WORKLOADS
        for container in containers(name)
        if container["image"].startswith("ghcr.io/trust-otel/")
    }
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert ours == {f"ghcr.io/trust-otel/{name}:{version[1]}" for name in ("collector", "ops")}


@pytest.mark.parametrize("config", list(of_kind("ConfigMap")), ids=lambda config: config["metadata"]["name"])
def test_a_client_side_apply_can_note_a_config_map(config: dict[str, Any]) -> None:
    # The annotation is the object as JSON, and may have 262,144 bytes.
    assert len(json.dumps(config, separators=(",", ":"))) < 262_144


def test_config_maps_are_those_of_the_documented_steps() -> None:
    for name, folder in (("prometheus-config", "prometheus"), ("alertmanager-config", "alertmanager")):
        files = {file.name: file.read_text() for file in (ROOT / "monitoring" / folder).iterdir() if file.is_file()}
        assert named("ConfigMap", name)["data"] == files


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_file_of_a_projected_volume_is_selected_twice(name: str) -> None:
    # The API server rejects it; a source without `items` may be replaced by a later one.
    for volume in pod(name).get("volumes", []):
        sources = volume.get("projected", {}).get("sources", [])
        paths = [item["path"] for source in sources for item in source["configMap"].get("items", [])]
        assert len(paths) == len(set(paths))


def test_each_folder_of_grafana_shows_its_dashboard_and_the_documented_step_replaces_it() -> None:
    text = (ROOT / "monitoring" / "provisioning" / "dashboards" / "trust-service.yml").read_text()
    volumes = {volume["name"]: volume for volume in pod("grafana")["volumes"]}
    mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in containers("grafana")[0]["volumeMounts"]}
    providers = yaml.safe_load(text)["providers"]
    files = set()
    for provider in providers:
        own, replacement = (each["configMap"] for each in mounted[provider["options"]["path"]]["projected"]["sources"])
        ((file, _),) = named("ConfigMap", own["name"])["data"].items()
        assert "items" not in own
        assert replacement == {
            "name": "grafana-dashboards",
            "optional": True,
            "items": [{"key": file, "path": file}],
        }
        assert f"# {file}" in text
        files.add(file)
    assert files == {file.name for file in (ROOT / "monitoring" / "grafana").glob("*.json")}


def test_each_account_has_exactly_its_rights() -> None:
    found: dict[str, set[tuple[str | None, str, str]]] = {}
    for binding in of_kind("RoleBinding", "ClusterRoleBinding"):
        namespace = binding["metadata"].get("namespace")
        (role,) = (
            role
            for role in of_kind(binding["roleRef"]["kind"])
            if role["metadata"]["name"] == binding["roleRef"]["name"] and role["metadata"].get("namespace") == namespace
        )
        (subject,) = binding["subjects"]
        assert subject["namespace"] == "monitoring"
        found.setdefault(subject["name"], set()).update(
            (namespace, resource, " ".join(sorted(rule["verbs"])))
            for rule in role["rules"]
            for resource in rule["resources"]
        )
    assert found == RIGHTS


@pytest.mark.parametrize("name", WORKLOADS)
def test_only_accounts_with_rights_get_a_token(name: str) -> None:
    assert pod(name)["serviceAccountName"] == name
    assert pod(name)["automountServiceAccountToken"] is (name in RIGHTS)
    account = named("ServiceAccount", name)
    assert account["automountServiceAccountToken"] is False


def _peers(rule: dict[str, Any], key: str) -> Iterator[str]:
    for peer in rule[key]:
        spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector")
        label = None if pods is None else pods["matchLabels"].get("app.kubernetes.io/name")
        if spaces is None or label is not None:
            assert label is not None
            yield label
        else:
            yield "any namespace" if spaces == {} else spaces["matchLabels"]["kubernetes.io/metadata.name"]


def _allowed(key: str, direction: str) -> dict[tuple[str, str], set[int]]:
    found: dict[tuple[str, str], set[int]] = {}
    for policy in of_kind("NetworkPolicy"):
        own = policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
        if own is None:
            continue
        for rule in policy["spec"].get(direction, []):
            ports = {port["port"] for port in rule["ports"]}
            for peer in _peers(rule, key) if key in rule else ["outside"]:
                pair = (peer, own) if direction == "ingress" else (own, peer)
                found.setdefault(pair, set()).update(ports)
    return found


def test_everything_is_denied_first() -> None:
    denied = {
        policy["metadata"]["namespace"]: policy["spec"]
        for policy in of_kind("NetworkPolicy")
        if policy["metadata"]["name"] == "default-deny"
    }
    nothing = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert denied == {"monitoring": nothing, "monitoring-node": nothing}


def test_only_the_drawn_arrows_are_allowed() -> None:
    assert _allowed("from", "ingress") == ARROWS


def test_each_side_of_an_arrow_allows_it() -> None:
    # node exporter is in the network of its host, so Prometheus reaches it as an outside address.
    outside = {(name, "outside"): ports for name, ports in OUTSIDE.items()}
    inside = {
        pair: ports for pair, ports in ARROWS.items() if pair[0] in WORKLOADS and pair != ("prometheus", NODE_EXPORTER)
    }
    assert _allowed("to", "egress") == inside | outside


@pytest.mark.parametrize("name", WORKLOADS)
def test_ports_of_policies_are_ports_of_containers(name: str) -> None:
    rules = named("NetworkPolicy", name)["spec"]["ingress"]
    declared = {port["containerPort"] for container in pod(name)["containers"] for port in container["ports"]}
    assert {port["port"] for rule in rules for port in rule["ports"]} <= declared


def test_ports_of_the_collectors_are_those_of_their_files() -> None:
    for role in ("agent", "gateway"):
        text = (ROOT / "collector" / f"{role}.yaml").read_text()
        listening = {int(port) for port in re.findall(r"endpoint: \$\{env:\w+:-0\.0\.0\.0:(\d+)\}", text)}
        (container,) = containers(f"trust-otel-{role}")
        assert {port["containerPort"] for port in container["ports"]} == listening


def test_the_files_of_the_collectors_are_mounted_where_their_defaults_are() -> None:
    for role in ("agent", "gateway"):
        text = (ROOT / "collector" / f"{role}.yaml").read_text()
        assert named("ConfigMap", f"collector-{role}")["data"][f"{role}.yaml"] == text
        tokens = set(re.findall(r":-/etc/trust-otel/tokens/(\w+)\}", text))
        volumes = {volume["name"]: volume for volume in pod(f"trust-otel-{role}")["volumes"]}
        assert {item["path"] for item in volumes["tokens"]["secret"]["items"]} == tokens
        (container,) = containers(f"trust-otel-{role}")
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"/etc/trust-otel/tls", "/etc/trust-otel/tokens", "/var/lib/trust-otel"} <= mounts
        known = set(re.findall(r"\$\{env:(\w+)", text))
        assert {variable["name"] for variable in container["env"]} <= known


def test_the_volume_of_a_queue_is_twice_as_large() -> None:
    def queue(role: str) -> int:
        (container,) = containers(f"trust-otel-{role}")
        (size,) = (each["value"] for each in container["env"] if each["name"].endswith("QUEUE_SIZE"))
        return int(size)

    (agent,) = (volume for volume in pod("trust-otel-agent")["volumes"] if volume["name"] == "data")
    assert int(agent["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30 >= 2 * queue("agent")
    (gateway,) = WORKLOADS["trust-otel-gateway"]["spec"]["volumeClaimTemplates"]
    storage = gateway["spec"]["resources"]["requests"]["storage"]
    # Security events: 21 files of 100 MB.
    assert int(storage.removesuffix("Gi")) * 2**30 >= 2 * queue("gateway") + 21 * 100 * 10**6


def _keys_of_secrets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("secretName") == "monitoring-secrets":
            yield from (item["key"] for item in node["items"])
        if isinstance(reference := node.get("secretKeyRef"), dict):
            assert reference["name"] == "monitoring-secrets"
            yield reference["key"]
        for value in node.values():
            yield from _keys_of_secrets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _keys_of_secrets(value)


def test_secrets_come_from_the_environment_file_and_have_no_default() -> None:
    assert list(of_kind("Secret")) == []
    lines = (ROOT / "monitoring" / "k8s" / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(_keys_of_secrets(list(WORKLOADS.values()))) == set(example)
    assert set(example.values()) == {""}
    assert not set(example) & set(variables.BY_NAME)


def test_certificates_have_the_names_that_their_callers_expect() -> None:
    names = {each["spec"]["secretName"]: each["spec"].get("dnsNames", []) for each in of_kind("Certificate")}
    mounted = {
        volume["secret"]["secretName"]
        for name in WORKLOADS
        for volume in pod(name).get("volumes", [])
        if volume["name"] == "tls"
    }
    assert mounted <= set(names)
    jobs = named("ConfigMap", "prometheus-kubernetes")["data"]
    expected = re.findall(r"server_name: (\S+)", jobs["kubernetes.yml"])
    assert set(expected) <= set(names["prometheus-tls"]) | set(names["trust-otel-agent-tls"])
    assert set(names["trust-otel-agent-tls"]) & set(names["trust-otel-gateway-tls"]) & set(expected)
    accepted = yaml.safe_load(jobs["web.yml"])["tls_server_config"]["client_allowed_sans"]
    for client in ("trust-otel-gateway-tls", "grafana-tls", "prometheus-ingress-tls", "prometheus-tls"):
        assert set(names[client]) & set(accepted), client
    assert not set(names["trust-otel-agent-tls"]) & set(accepted)


def test_pages_need_a_password_and_tls() -> None:
    hosts = named("ConfigMap", "monitoring-hosts")["data"]
    pages = {each["metadata"]["name"]: each for each in of_kind("Ingress")}
    assert set(pages) == set(hosts) == {"grafana", "prometheus", "alertmanager"}
    for name, page in pages.items():
        annotations = page["metadata"]["annotations"]
        assert annotations["nginx.ingress.kubernetes.io/auth-type"] == "basic"
        assert annotations["nginx.ingress.kubernetes.io/auth-secret"]
        assert annotations["cert-manager.io/cluster-issuer"]
        assert [rule["host"] for rule in page["spec"]["rules"]] == page["spec"]["tls"][0]["hosts"] == [hosts[name]]


def test_jobs_of_kubernetes_have_the_names_of_the_shared_ones() -> None:
    shared = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text())
    own = yaml.safe_load(named("ConfigMap", "prometheus-kubernetes")["data"]["kubernetes.yml"])
    names = {job["job_name"] for job in shared["scrape_configs"]}
    for job in own["scrape_configs"]:
        assert job["job_name"] == f"kubernetes-{_job_label(job)}"
        assert _job_label(job) in names


def _job_label(job: dict[str, Any]) -> str:
    fixed = [static["labels"]["job"] for static in job.get("static_configs", [])]
    relabelled = [each["replacement"] for each in job.get("relabel_configs", []) if each.get("target_label") == "job"]
    (label,) = fixed + relabelled
    return str(label)


def test_every_service_of_a_target_exists() -> None:
    services = {
        f"{service['metadata']['name']}.monitoring.svc.cluster.local:{port['port']}"
        for service in of_kind("Service")
        for port in service["spec"]["ports"]
    }
    targets = {
        target
        for name, text in named("ConfigMap", "prometheus-kubernetes")["data"].items()
        if name.endswith(".json")
        for group in json.loads(text)
        for target in group["targets"]
    }
    assert targets <= services
    assert len(targets) == 5
