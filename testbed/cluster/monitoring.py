"""The monitoring stack in a cluster, deployed as `docs/kubernetes.md` says.

Not installed are cert-manager, of which only the definitions are here, and a provisioner of volumes: certificates and
volumes are made as they would make them.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

from testbed.cluster.certificates import Authority
from testbed.cluster.node import NAME, Node, NodeError

NAMESPACE: Final = "monitoring"
MANIFESTS: Final = Path(__file__).parents[2] / "monitoring/k8s/trust-service-monitoring.yaml"
_CLASS: Final = "local"
_CLIENT: Final = "/etc/prometheus/web/client.yml"
_REPLICAS: Final = 3
"""For so many replicas of a StatefulSet there are volumes."""
_LOG: Final = 5000
_SECONDS: Final = 120.0


class Monitoring:
    """Deploys the manifests.

    Args:
        node: The cluster, with the images.
        folder: An empty folder.
        definitions: A file with cert-manager's CustomResourceDefinitions.
        variables: What `monitoring/.env` has, apart from random tokens and passwords.
    """

    def __init__(self, node: Node, folder: Path, definitions: Path, variables: Mapping[str, str]) -> None:
        self._node = node
        self.authority = Authority(folder, "monitoring-ca")
        self._definitions = definitions
        tokens = ("GRAFANA_ADMIN_PASSWORD", "GRAFANA_SECRET_KEY", "COLLECTOR_SERVICES_TOKEN", "COLLECTOR_GATEWAY_TOKEN",
                  "COLLECTOR_METRICS_TOKEN", "COLLECTOR_STORES_PASSWORD")  # fmt: skip
        self.variables = {**{name: secrets.token_hex(32) for name in tokens}, **variables}

    def deploy(self) -> None:
        """Apply everything, and wait until all pods are ready."""
        self._node.kubectl("apply", "--server-side", f"--filename={self._definitions}")
        self._node.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        objects = list(yaml.safe_load_all(MANIFESTS.read_text()))
        self._add_volumes(objects)
        self._node.kubectl("apply", "--validate=strict", f"--filename={MANIFESTS}")
        self._node.apply(_secret("monitoring-secrets", self.variables))
        for certificate in (each for each in objects if each["kind"] == "Certificate"):
            self._issue(certificate["spec"])
        self.await_ready()

    def await_ready(self, seconds: float = _SECONDS) -> None:
        """Wait until every pod of the stack and of the cluster itself is ready.

        Raises:
            NodeError: One is not; with the state of all, and its log.
        """
        deadline = time.monotonic() + seconds
        while waiting := [pod for pod in self._pods() if not _is_ready(pod)]:
            if time.monotonic() > deadline:
                raise NodeError("\n".join(map(self._described, waiting)))
            time.sleep(0.5)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query: `metric` and `value` of each series."""
        found: list[dict[str, Any]] = json.loads(
            self._node.kubectl(
                "exec", f"--namespace={NAMESPACE}", "deployment/prometheus", "--",
                "promtool", "query", "instant", "--format=json", f"--http.config.file={_CLIENT}",
                "https://localhost:9090", expression,
            )
        )  # fmt: skip
        return found

    def _pods(self) -> list[dict[str, Any]]:
        namespaces = (NAMESPACE, f"{NAMESPACE}-node", "kube-system")
        return [pod for each in namespaces for pod in self._node.get("pods", f"--namespace={each}")["items"]]

    def _described(self, pod: Mapping[str, Any]) -> str:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        parts = [self._node.kubectl("describe", "pod", name, f"--namespace={namespace}")]
        for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
            with suppress(NodeError):
                log = self._node.kubectl("logs", name, f"--namespace={namespace}", f"--container={container['name']}")
                parts.append(f"log of {container['name']}:\n{log[-_LOG:]}")
        return "\n".join(parts)

    def _add_volumes(self, objects: list[dict[str, Any]]) -> None:
        claims = [each["spec"] for each in objects if each["kind"] == "PersistentVolumeClaim"]
        templates = [
            claim["spec"] for each in objects for claim in each.get("spec", {}).get("volumeClaimTemplates", [])
        ]
        claims += templates * _REPLICAS
        annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
        storage_class = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": _CLASS, "annotations": annotations},
            "provisioner": "kubernetes.io/no-provisioner",
        }
        self._node.apply(storage_class, *(self._volume(number, claim) for number, claim in enumerate(claims)))

    def _volume(self, number: int, claim: Mapping[str, Any]) -> dict[str, Any]:
        path = self._node.make_folder(f"volume-{number}")
        here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"volume-{number}"},
            "spec": {
                "capacity": claim["resources"]["requests"],
                "accessModes": claim["accessModes"],
                "storageClassName": _CLASS,
                "local": {"path": path},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            },
        }

    def _issue(self, certificate: Mapping[str, Any]) -> None:
        names = certificate.get("dnsNames", [])
        name = certificate["secretName"]
        paths = self.authority.issue(name, certificate.get("commonName", names[0] if names else name), *names)
        files = {"tls.crt": paths[0], "tls.key": paths[1], "ca.crt": self.authority.certificate}
        self._node.apply(_secret(name, {file: path.read_text() for file, path in files.items()}, "kubernetes.io/tls"))


def _secret(name: str, values: Mapping[str, str], kind: str = "Opaque") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
