"""A node with its control plane."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import yaml

from testbed.cluster.certificates import Authority, write_key_pair
from testbed.cluster.images import Image, write
from testbed.cluster.namespaces import Namespaces
from testbed.cluster.programs import Programs

NAME: Final = "node"
ADDRESS: Final = "10.88.0.1"
_PODS: Final = "10.88.0.0/16"
_SERVICES: Final = "10.97.0.0/16"
_API: Final = "10.97.0.1"
_DNS: Final = "10.97.0.10"
_URL: Final = f"https://{ADDRESS}:6443"
_PAUSE: Final = "registry.k8s.io/pause:3.10"
_COREDNS: Final = "registry.k8s.io/coredns/coredns:v1.12.4"
_POLICIES: Final = "registry.k8s.io/networking/kube-network-policies:v0.8.0"
_SECONDS: Final = 90.0
_CTR: Final = ("ctr", "--address=/run/containerd/containerd.sock", "--namespace=k8s.io")
# New connections of pods are decided by the agent of NetworkPolicies. Its own rules need a kernel with NFT_QUEUE.
_TO_POLICIES: Final = (
    "-s", _PODS, "-m", "conntrack", "--ctstate", "NEW", "-m", "addrtype", "!", "--src-type", "LOCAL",
    "-j", "NFQUEUE", "--queue-num", "98",
)  # fmt: skip
_READY: Final = '{.items[*].status.conditions[?(@.type=="Ready")].status}'
_LOOPBACK: Final = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
"""As the kernel writes 127.0.0.1, ::1 and ::ffff:127.0.0.1."""
_MANIFESTS: Final = Path(__file__).with_name("manifests")


class NodeError(Exception):
    """A component does not start, or a command failed; with its log or output."""


class Node(AbstractContextManager["Node"]):
    """A Kubernetes cluster of one node.

    Args:
        folder: An empty folder on a disk (no tmpfs) for its state and logs.
        programs: The executables.
    """

    def __init__(self, folder: Path, programs: Programs) -> None:
        self._folder = folder
        self._programs = programs
        self._ends = ExitStack()
        self._kubeconfigs: dict[str, Path] = {}

    def __enter__(self) -> Node:
        with ExitStack() as stack:
            stack.callback(_remove_control_groups)
            self.namespaces = stack.enter_context(
                Namespaces(self._folder / "var", NAME, f"{ADDRESS}/16", _SERVICES, self._programs.pause)
            )
            self._prepare()
            self._start_all()
            self._ends = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """The output of a kubectl command as administrator.

        Raises:
            NodeError: It failed.
        """
        done = self._run("kubectl", f"--kubeconfig={self._kubeconfigs['admin']}", *arguments, stdin=stdin)
        if done.returncode:
            raise NodeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def shell(self, *arguments: str) -> list[str]:
        """The command line of a shell in which `kubectl` is the administrator of this cluster."""
        variables = self._programs.environment() | {"KUBECONFIG": str(self._kubeconfigs["admin"])}
        assignments = [f"{name}={value}" for name, value in variables.items()]
        return self.namespaces.command("env", *assignments, "bash", *arguments)

    def kill(self, namespace: str, pod: str) -> None:
        """Kill the processes of a pod's containers; the kubelet starts them again."""
        status = self.get("pod", pod, f"--namespace={namespace}")["status"]
        for container in status["containerStatuses"]:
            name = container["containerID"].removeprefix("containerd://")
            self._checked(*_CTR, "tasks", "kill", "--signal=SIGKILL", name)

    def get(self, *arguments: str) -> Any:
        """The objects that `kubectl get` finds."""
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def apply(self, *objects: Mapping[str, Any], options: Sequence[str] = ()) -> str:
        """Apply objects, with validation."""
        return self.kubectl(
            "apply", "--validate=strict", *options, "--filename=-", stdin=yaml.safe_dump_all(objects, sort_keys=False)
        )

    def import_image(self, image: Image) -> None:
        """Make an image available under its name."""
        archive = self._folder / "image.tar"
        write(image, archive)
        try:
            self._checked(*_CTR, "images", "import", str(archive))
        finally:
            archive.unlink()

    def listeners(self, namespace: str) -> set[tuple[str, str, int]]:
        """Name, address and port of every TCP socket on which pods accept connections of others.

        Pods in the network of the node are left out.
        """
        tasks = self._run(*_CTR, "tasks", "list").stdout.splitlines()[1:]
        processes = {container: process for container, process, *_ in map(str.split, tasks)}
        found = set()
        for pod in self.get("pods", f"--namespace={namespace}")["items"]:
            if pod["spec"].get("hostNetwork"):
                continue
            # All containers of a pod have the same network.
            container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
            tables = [f"/proc/{processes[container]}/net/{table}" for table in ("tcp", "tcp6")]
            ports = _listening("".join(self._run("cat", table).stdout for table in tables))
            found |= {(pod["metadata"]["name"], pod["status"]["podIP"], port) for port in ports}
        return found

    def make_folder(self, name: str) -> str:
        """Make an empty folder on the node, and return its path there."""
        (self._folder / "var/lib/volumes" / name).mkdir(parents=True)
        return f"/var/lib/volumes/{name}"

    def log(self, component: str) -> str:
        """The log of a component."""
        return (self._folder / "logs" / f"{component}.log").read_text(errors="replace")

    def _prepare(self) -> None:
        certificates = self._folder / "certificates"
        authority = Authority(certificates, "kubernetes")
        names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
        authority.issue("apiserver", "kube-apiserver", *names, ADDRESS, _API, "127.0.0.1")
        authority.issue("kubelet-client", "kube-apiserver-kubelet-client", groups=("system:masters",))
        authority.issue("kubelet", f"system:node:{NAME}", NAME, ADDRESS, groups=("system:nodes",))
        authority.issue("kube-controller-manager", "system:kube-controller-manager")
        authority.issue("kube-scheduler", "system:kube-scheduler")
        authority.issue("kube-proxy", "system:kube-proxy")
        authority.issue("admin", "admin", groups=("system:masters",))
        write_key_pair(certificates, "service-accounts")
        for user in ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy", "admin"):
            self._kubeconfigs[user] = self._write(f"{user}.kubeconfig", _kubeconfig(certificates, user))
        (self._folder / "logs").mkdir()

    def _start_all(self) -> None:
        self._start(
            "etcd", "--data-dir=/run/etcd", "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380",
        )  # fmt: skip
        self._start("kube-apiserver", *self._api_server_options())
        self._await("kube-apiserver", lambda: self.kubectl("get", "--raw=/readyz") == "ok")
        self._start(
            "kube-controller-manager", *self._as_user("kube-controller-manager"),
            "--use-service-account-credentials=true", "--leader-elect=false",
            f"--root-ca-file={self._certificate('ca.crt')}",
            f"--service-account-private-key-file={self._certificate('service-accounts.key')}",
        )  # fmt: skip
        self._start("kube-scheduler", *self._as_user("kube-scheduler"), "--leader-elect=false")
        self._start("containerd", f"--config={self._write('containerd.toml', self._containerd())}")
        self._await("containerd", lambda: not self._run(*_CTR, "version").returncode)
        self.import_image(Image(_PAUSE, [{"/pause": self._programs.pause}], ["/pause"]))
        self._start("kubelet", *self._kubelet_options())
        self._start("kube-proxy", f"--config={self._write('kube-proxy.yaml', self._kube_proxy())}")
        for chain in ("FORWARD", "INPUT"):
            self._checked("iptables", "-t", "mangle", "-A", chain, *_TO_POLICIES)
        self._await("kubelet", lambda: "True" in self.kubectl("get", "nodes", f"--output=jsonpath={_READY}"))
        self.import_image(Image(_COREDNS, [{"/coredns": self._programs.coredns}], ["/coredns"]))
        self.import_image(Image(_POLICIES, [{"/netpol": self._programs.network_policies}], ["/netpol"]))
        self.kubectl("apply", f"--filename={_MANIFESTS}")

    def _api_server_options(self) -> list[str]:
        return [
            f"--advertise-address={ADDRESS}",
            f"--bind-address={ADDRESS}",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--service-cluster-ip-range={_SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--client-ca-file={self._certificate('ca.crt')}",
            f"--tls-cert-file={self._certificate('apiserver.crt')}",
            f"--tls-private-key-file={self._certificate('apiserver.key')}",
            f"--kubelet-certificate-authority={self._certificate('ca.crt')}",
            f"--kubelet-client-certificate={self._certificate('kubelet-client.crt')}",
            f"--kubelet-client-key={self._certificate('kubelet-client.key')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._certificate('service-accounts.pub')}",
            f"--service-account-signing-key-file={self._certificate('service-accounts.key')}",
        ]

    def _kubelet_options(self) -> list[str]:
        configuration = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": self._certificate("ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "clusterDNS": [_DNS],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "enforceNodeAllocatable": [],
            "evictionHard": {"memory.available": "64Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "failSwapOn": False,
            "healthzPort": 0,
            "readOnlyPort": 0,
            "imageGCHighThresholdPercent": 100,
            "tlsCertFile": self._certificate("kubelet.crt"),
            "tlsPrivateKeyFile": self._certificate("kubelet.key"),
            "volumePluginDir": "/run/kubelet-plugins",
        }
        return [
            f"--config={self._write('kubelet.yaml', yaml.safe_dump(configuration))}",
            f"--kubeconfig={self._kubeconfigs['kubelet']}",
            f"--hostname-override={NAME}",
            f"--node-ip={ADDRESS}",
        ]

    def _kube_proxy(self) -> str:
        return yaml.safe_dump(
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "clientConnection": {"kubeconfig": str(self._kubeconfigs["kube-proxy"])},
                "clusterCIDR": _PODS,
                "conntrack": {"maxPerCore": 0, "min": 0},
                "hostnameOverride": NAME,
                "mode": "iptables",
            }
        )

    def _containerd(self) -> str:
        network = {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "cni0",
                    "isGateway": True,
                    "hairpinMode": True,
                    "ipam": {
                        "type": "host-local",
                        "subnet": _PODS,
                        "gateway": ADDRESS,
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }
        folder = self._folder / "cni"
        folder.mkdir()
        (folder / "pods.conflist").write_text(json.dumps(network))
        return f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "{_PAUSE}"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{self._programs.packages}/usr/lib/cni"
conf_dir = "{folder}"
"""

    def _as_user(self, user: str) -> tuple[str, ...]:
        path = self._kubeconfigs[user]
        return (f"--kubeconfig={path}", f"--authentication-kubeconfig={path}", f"--authorization-kubeconfig={path}")

    def _certificate(self, name: str) -> str:
        return str(self._folder / "certificates" / name)

    def _write(self, name: str, content: str) -> Path:
        path = self._folder / name
        path.write_text(content)
        return path

    def _start(self, component: str, *options: str) -> None:
        log = self._folder / "logs" / f"{component}.log"
        with log.open("wb") as output:
            subprocess.Popen(  # noqa: S603 - a component of the node
                self.namespaces.command(component, *options),
                env=self._programs.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _run(self, program: str, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - a program of the node
            self.namespaces.command(program, *arguments),
            env=self._programs.environment(),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
        )

    def _checked(self, program: str, *arguments: str) -> None:
        done = self._run(program, *arguments)
        if done.returncode:
            raise NodeError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")

    def _await(self, component: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _SECONDS
        while True:
            with suppress(NodeError):
                if ready():
                    return
            if time.monotonic() > deadline:
                raise NodeError(f"{component} is not ready after {_SECONDS:.0f} s; its log:\n{self.log(component)}")
            time.sleep(0.2)


def _kubeconfig(certificates: Path, user: str) -> str:
    cluster = {"server": _URL, "certificate-authority": str(certificates / "ca.crt")}
    credentials = {
        "client-certificate": str(certificates / f"{user}.crt"),
        "client-key": str(certificates / f"{user}.key"),
    }
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": user, "context": {"cluster": "cluster", "user": user}}],
            "current-context": user,
        }
    )


def _listening(tables: str) -> set[int]:
    """The ports of `/proc/net/tcp` and `/proc/net/tcp6` that are not of loopback only."""
    sockets = re.findall(r"^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A ", tables, re.MULTILINE)
    return {int(port, 16) for address, port in sockets if address not in _LOOPBACK}


def _remove_control_groups() -> None:
    # The kernel ends processes with their namespace, but keeps control groups: those of ended containers are empty.
    for parent in Path("/sys/fs/cgroup").glob("*/k8s.io"):
        for folder, _, _ in os.walk(parent, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)
