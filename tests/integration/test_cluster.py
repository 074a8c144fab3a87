"""The manifests of monitoring/k8s as pods on a real Kubernetes node."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from testbed.cluster import workloads
from testbed.cluster.deployment import Deployment, deployment
from testbed.cluster.node import NodeError
from testbed.cluster.permissions import missing
from testbed.cluster.programs import build_all
from tests.support.running import eventually
from trust_ops.stack.errors import BinaryUnavailable

pytestmark = [
    pytest.mark.skipif(missing() is not None, reason=f"no node can run here: {missing()}"),
    # The programs may have to be built first.
    pytest.mark.timeout(1800),
]

SERVICE = """
import uvicorn
from fastapi import FastAPI

app = FastAPI()

@app.get("/orders/{number}")
def order(number: int) -> dict[str, int]:
    return {"number": number}

uvicorn.run(app, host="0.0.0.0", port=8000, log_level="warning")
"""
IMAGE = "trust.test/shop:1"
ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3.11"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Deployment]:
    try:
        build_all(os.environ, print)
    except BinaryUnavailable as error:
        pytest.skip(str(error))
    # Not pytest's folder, which stays for a while.
    with TemporaryDirectory(prefix="trust-otel-cluster-") as folder, deployment(Path(folder), print) as deployed:
        program = Path(folder) / "program.py"
        program.write_text(SERVICE)
        deployed.node.import_image(deployed.images.service(IMAGE, program, "fastapi", "uvicorn"))
        yield deployed
        print(deployed.node.kubectl("get", "pods", "--all-namespaces", "--output=wide"))
    commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert folder not in commands
    assert folder not in Path("/proc/mounts").read_text()
    assert list(Path("/sys/fs/cgroup").glob("*/k8s.io/*")) == []


def firing(cluster: Deployment) -> set[str]:
    found = cluster.monitoring.query('ALERTS{alertstate="firing"}')
    return {each["metric"]["alertname"] for each in found}


def every_target_comes_up(cluster: Deployment) -> None:
    def up() -> dict[str, str]:
        return {each["metric"]["job"]: each["value"][1] for each in cluster.monitoring.query("sum by (job) (up)")}

    one = ("alertmanager", "grafana", "kube-state-metrics", "kubelet", "node", "postgres", "prometheus", "redis")
    # An agent and two gateways.
    eventually(up, {**dict.fromkeys(one, "1"), "otel-collector": "3"}, 60)


def test_every_target_is_up(cluster: Deployment) -> None:
    every_target_comes_up(cluster)


@pytest.fixture(scope="module")
def alerts_of_a_quiet_cluster(cluster: Deployment) -> set[str]:
    time.sleep(90)
    return firing(cluster)


def test_a_new_cluster_raises_no_alert(alerts_of_a_quiet_cluster: set[str]) -> None:
    assert alerts_of_a_quiet_cluster == {"TrustWatchdog"}


@pytest.fixture(scope="module")
def shop(cluster: Deployment, alerts_of_a_quiet_cluster: set[str]) -> Deployment:
    node, monitoring = cluster.node, cluster.monitoring
    certificate, key = monitoring.authority.issue("shop", "shop", "shop")
    node.apply(workloads.namespace())
    token = monitoring.variables["COLLECTOR_SERVICES_TOKEN"]
    node.apply(
        workloads.secret(
            "trust-otel-client",
            {
                "ca.crt": monitoring.authority.certificate.read_text(),
                "tls.crt": certificate.read_text(),
                "tls.key": key.read_text(),
                "headers": f"authorization=Bearer%20{token}",
            },
        )
    )
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    deployed = workloads.deployment("shop", {"image": IMAGE, "readinessProbe": probe}, 2)
    node.apply(workloads.instrumented(deployed, "/app/packages"), workloads.service("shop", 8000))
    node.kubectl("rollout", "status", "deployment/shop", "--namespace=shop", "--timeout=120s")
    return cluster


def counted(cluster: Deployment) -> float:
    # Of pods that have ended too.
    labels = "job='shop', http_route='/orders/{number}'"
    found = cluster.monitoring.query(f"last_over_time(http_server_request_duration_seconds_count{{{labels}}}[1h])")
    return sum(float(each["value"][1]) for each in found)


class Load:
    """Requests to the service until the end of the block, at about 50 a second; each on a connection of its own."""

    def __init__(self, cluster: Deployment) -> None:
        self._namespaces = cluster.node.namespaces
        service = cluster.node.get("service", "shop", "--namespace=shop")
        self._url = f"http://{service['spec']['clusterIP']}:8000/orders/"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answered = 0
        self.broken: list[str] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with self._namespaces.network():
            while not self._ended.wait(0.02):
                try:
                    httpx.get(f"{self._url}1", trust_env=False).raise_for_status()
                    self.answered += 1
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    # A pod that ends: the request has not begun.
                    continue
                except httpx.HTTPError as error:
                    self.broken.append(repr(error))


def test_a_pod_that_knows_nothing_of_trust_otel_is_counted_exactly(shop: Deployment) -> None:
    before = counted(shop)
    with Load(shop) as load:
        time.sleep(5)
    assert load.broken == []
    eventually(lambda: counted(shop) - before, load.answered, 60)


def test_a_rolling_update_under_load_loses_no_count(shop: Deployment) -> None:
    before = counted(shop)
    with Load(shop) as load:
        time.sleep(2)
        shop.node.kubectl("rollout", "restart", "deployment/shop", "--namespace=shop")
        shop.node.kubectl("rollout", "status", "deployment/shop", "--namespace=shop", "--timeout=120s")
        time.sleep(2)
    assert load.broken == []
    eventually(lambda: counted(shop) - before, load.answered, 60)


def test_killed_collectors_and_prometheus_lose_no_count(shop: Deployment) -> None:
    node = shop.node
    before = counted(shop)
    pods = [pod["metadata"]["name"] for pod in node.get("pods", "--namespace=monitoring")["items"]]
    with Load(shop) as load:
        for name in (pod for pod in pods if pod.startswith(("trust-otel-", "prometheus-"))):
            node.kill("monitoring", name)
            time.sleep(2)
        shop.monitoring.await_ready()
    assert load.broken == []
    eventually(lambda: counted(shop) - before, load.answered, 120)


PROBE = """
import concurrent.futures, json, socket, sys

def state(target):
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 3).close()
    except TimeoutError:
        return "closed"
    except OSError as error:
        return repr(error)
    return "open"

targets = sys.argv[1:]
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(dict(zip(targets, pool.map(state, targets)))))
"""


def in_shop(cluster: Deployment, program: str, *arguments: str) -> str:
    return cluster.node.kubectl(
        "exec", "--namespace=shop", "deployment/shop", "--", PYTHON, "-c", program, *arguments
    ).strip()


def test_of_all_listening_sockets_a_stranger_reaches_only_the_agent(shop: Deployment) -> None:
    listeners = {
        (re.sub(r"-[0-9a-f]+-\w{5}$|-\w{5}$|-\d$", "", pod), port): f"{address}:{port}"
        for pod, address, port in shop.node.listeners("monitoring")
    }
    known = {("prometheus", 9090), ("alertmanager", 9093), ("grafana", 3000), ("trust-otel-gateway", 4317)}
    assert known < listeners.keys()
    found = json.loads(in_shop(shop, PROBE, *listeners.values()))
    reached = {listener for listener, target in listeners.items() if found[target] == "open"}
    assert reached == {("trust-otel-agent", 4317), ("trust-otel-agent", 4318)}, (listeners, found)
    assert set(found.values()) == {"open", "closed"}


EXPORT = """
import http.client, ssl, sys

certificate, token = sys.argv[1:]
folder = "/etc/trust-otel/client"
context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
if certificate == "with":
    context.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
headers = {"content-type": "application/x-protobuf"}
if token != "none":
    headers["authorization"] = f"Bearer {token}"
connection = http.client.HTTPSConnection("trust-otel-agent.monitoring.svc.cluster.local", 4318, context=context)
try:
    connection.request("POST", "/v1/metrics", b"", headers)
    print(connection.getresponse().status)
except ssl.SSLError as error:
    print(error.reason)
"""


def test_the_agent_wants_a_certificate_and_a_token(shop: Deployment) -> None:
    token = shop.monitoring.variables["COLLECTOR_SERVICES_TOKEN"]
    assert in_shop(shop, EXPORT, "without", token) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert in_shop(shop, EXPORT, "with", "none") == "401"
    assert in_shop(shop, EXPORT, "with", token[:-1]) == "401"
    assert in_shop(shop, EXPORT, "with", token) == "200"


@pytest.mark.parametrize(
    ("account", "verb", "resource", "allowed"),
    [
        ("prometheus", "get", "nodes/metrics", True),
        ("prometheus", "get", "nodes/proxy", False),
        ("prometheus", "list", "secrets", False),
        ("kube-state-metrics", "list", "pods", True),
        ("kube-state-metrics", "list", "secrets", False),
        ("trust-otel-agent", "list", "pods", True),
        ("trust-otel-agent", "delete", "pods", False),
        ("grafana", "list", "pods", False),
        ("alertmanager", "get", "secrets", False),
    ],
)
def test_accounts_have_their_rights_only(
    cluster: Deployment, account: str, verb: str, resource: str, allowed: bool
) -> None:
    user = f"--as=system:serviceaccount:monitoring:{account}"
    try:
        kind, _, part = resource.partition("/")
        answer = cluster.node.kubectl("auth", "can-i", verb, kind, f"--subresource={part}", user, "--all-namespaces")
    except NodeError:
        answer = "no"
    assert answer.strip() == ("yes" if allowed else "no")


def test_the_documented_steps_replace_configurations(cluster: Deployment, tmp_path: Path) -> None:
    page = (ROOT / "docs/kubernetes.md").read_text()
    steps = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "--dry-run=client" in block]
    assert len(steps) == 2
    (tmp_path / "monitoring").mkdir()
    for folder in ("prometheus", "alertmanager", "grafana"):
        (tmp_path / "monitoring" / folder).symlink_to(ROOT / "monitoring" / folder)
    environment = tmp_path / "monitoring/.env"
    environment.write_text("".join(f"{name}={value}\n" for name, value in cluster.monitoring.variables.items()))
    for step in steps:
        done = subprocess.run(
            cluster.node.shell("-ec", f"cd {tmp_path}; {step}"), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    for name in ("prometheus", "alertmanager", "grafana"):
        cluster.node.kubectl("rollout", "status", f"deployment/{name}", "--namespace=monitoring", "--timeout=120s")
    every_target_comes_up(cluster)


@pytest.fixture(scope="module")
def faults(shop: Deployment) -> Deployment:
    crash = {"image": IMAGE, "command": [PYTHON, "-c", "raise SystemExit(1)"]}
    # About 90 % of the limit, with Python itself.
    hold = "import time; held = b'x' * (54 << 20); time.sleep(3600)"
    full = {"image": IMAGE, "command": [PYTHON, "-c", hold], "resources": {"limits": {"memory": "64Mi"}}}
    shop.node.apply(workloads.deployment("crashing", crash), workloads.deployment("full", full))
    # Its kubelet never reports.
    shop.node.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "silent"}})
    return shop


@pytest.mark.parametrize(
    ("alert", "label", "value", "channel"),
    [
        ("TrustContainerRestartLoop", "pod", "crashing-", "slack:platform"),
        ("TrustContainerMemoryHigh", "pod", "full-", "pagerduty:platform"),
        ("TrustKubernetesNodeUnhealthy", "node", "silent", "pagerduty:platform"),
    ],
)
def test_faults_of_pods_and_nodes_are_notified(
    faults: Deployment, alert: str, label: str, value: str, channel: str
) -> None:
    def notified() -> bool:
        return any(
            shown.labels["alertname"] == alert and shown.labels[label].startswith(value)
            for delivery in faults.receivers.deliveries
            if delivery.channel == channel
            for shown in delivery.alerts
        )

    assert faults.receivers.wait_for(notified, 420), sorted(firing(faults))
    assert faults.receivers.problems == []
