"""Pods of services in a cluster: instrumented from outside, and faulty ones."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

NAMESPACE: Final = "shop"
_INSTRUMENTATION: Final = Path(__file__).parents[2] / "monitoring/k8s/autoinstrumentation/instrumentation.yaml"
_FOLDER: Final = "/otel-auto-instrumentation-python"
_RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def namespace(name: str = NAMESPACE) -> dict[str, Any]:
    """A namespace that admits only restricted pods."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def secret(name: str, files: Mapping[str, str]) -> dict[str, Any]:
    """A Secret of the services."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


def deployment(name: str, container: Mapping[str, Any], replicas: int = 1) -> dict[str, Any]:
    """A Deployment of one restricted container."""
    labels = {"app": name}
    spec = {"containers": [{"name": name, "securityContext": _RESTRICTED, **container}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def service(name: str, port: int) -> dict[str, Any]:
    """The Service of a Deployment."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }


def instrumented(deployed: dict[str, Any], python_path: str) -> dict[str, Any]:
    """What the OpenTelemetry operator makes of a Deployment with the annotation `inject-python`.

    Source: its `injectPythonSDK`. Image, endpoint and variables are those of `instrumentation.yaml`.

    Args:
        deployed: The Deployment.
        python_path: `PYTHONPATH` of its container.
    """
    spec = yaml.safe_load(_INSTRUMENTATION.read_text())["spec"]
    pod = deployed["spec"]["template"]["spec"]
    container = pod["containers"][0]
    shared = [{"name": "opentelemetry-auto-instrumentation-python", "mountPath": _FOLDER}]
    pod["initContainers"] = [
        {
            "name": "opentelemetry-auto-instrumentation-python",
            "image": spec["python"]["image"],
            "command": ["cp", "-r", "/autoinstrumentation/.", _FOLDER],
            "resources": spec["python"]["resourceRequirements"],
            "securityContext": _RESTRICTED,
            "volumeMounts": shared,
        }
    ]
    auto = f"{_FOLDER}/opentelemetry/instrumentation/auto_instrumentation"
    container["env"] = [
        *spec["python"]["env"],
        {"name": "PYTHONPATH", "value": f"{auto}:{python_path}:{_FOLDER}"},
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": spec["exporter"]["endpoint"]},
        {"name": "OTEL_METRICS_EXPORTER", "value": "otlp"},
        {"name": "OTEL_TRACES_EXPORTER", "value": "otlp"},
        {"name": "OTEL_SERVICE_NAME", "value": deployed["metadata"]["name"]},
        *container.get("env", []),
    ]
    container["volumeMounts"] = [*shared, {"name": "client", "mountPath": "/etc/trust-otel/client", "readOnly": True}]
    pod["volumes"] = [
        {"name": shared[0]["name"], "emptyDir": {}},
        {"name": "client", "secret": {"secretName": "trust-otel-client"}},
    ]
    return deployed
