"""The programs of a node: Kubernetes and CoreDNS from Go modules, all others from Debian's packages."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import Binary, Recipe, Step, debian_packages

_MODULES: Final = Path(__file__).with_name("go")
_KUBERNETES_VERSION: Final = "1.34.4"
_COREDNS_VERSION: Final = "1.12.4"
_OF_KUBERNETES: Final = (
    "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet",
)  # fmt: skip
_PACKAGES: Final = {
    "containerd": "1.6.20",
    "containernetworking-plugins": "1.1.1",
    "etcd-server": "3.4.23",
    "iptables": "1.8.9",
    "libip4tc2": "1.8.9",
    "libip6tc2": "1.8.9",
    "libnetfilter-conntrack3": "1.0.9",
    "libnfnetlink0": "1.0.2",
    "libnftnl11": "1.2.4",
    "libseccomp2": "2.5.4",
    "libxtables12": "1.8.9",
    "runc": "1.1.5",
}
_PYTHON_PACKAGES: Final = {
    "ca-certificates": "20250419",
    "libbz2-1.0": "1.0.8",
    "libc6": "2.36",
    "libcrypt1": "1:4.4.33",
    "libexpat1": "2.5.0",
    "libffi8": "3.4.4",
    "libgcc-s1": "12.2.0",
    "liblzma5": "5.4.1",
    "libpython3.11-minimal": "3.11.2",
    "libpython3.11-stdlib": "3.11.2",
    "libsqlite3-0": "3.40.1",
    "libssl3": "3.0",
    "libstdc++6": "12.2.0",
    "libuuid1": "2.38.1",
    "python3.11": "3.11.2",
    "python3.11-minimal": "3.11.2",
    "tzdata": "20",
    "zlib1g": "1:1.2.13",
}


class Programs:
    """The programs, fetched or built where they are missing, in a folder for one node.

    Args:
        folder: An empty folder.
        environ: As of `trust_ops.stack.binaries.find`.
        on_progress: Receives lines about builds.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], on_progress: Callable[[str], None]) -> None:
        kubernetes, self.coredns, self.pause, self.network_policies, packages = (
            find(each, environ, on_progress) for each in node_binaries()
        )
        self.packages = unpacked(packages, folder / "packages")
        self._folder = folder / "bin"
        self._folder.mkdir()
        for name in _OF_KUBERNETES:
            (self._folder / name).symlink_to(kubernetes)
        # As Debian's alternatives do when the package is installed.
        for command in ("iptables", "ip6tables"):
            for suffix in ("", "-save", "-restore"):
                (self.packages / "usr/sbin" / f"{command}{suffix}").symlink_to("xtables-nft-multi")

    def environment(self) -> dict[str, str]:
        """The variables with which the programs find each other."""
        libraries = f"{self.packages}/usr/lib/{os.uname().machine}-linux-gnu"
        return {
            "PATH": f"{self._folder}:{self.packages}/usr/sbin:{self.packages}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": libraries,
            "XTABLES_LIBDIR": f"{libraries}/xtables",
            "HOME": "/root",
        }


def node_binaries() -> tuple[Binary, ...]:
    """Kubernetes, CoreDNS, the first process of a pod, the agent of NetworkPolicies, and Debian's packages."""
    return (
        _go("kubernetes", "Kubernetes", _KUBERNETES_VERSION, _kubernetes_version()),
        _go("coredns", "CoreDNS", _COREDNS_VERSION),
        _go("pause", "pause", "3.10"),
        _go_tool("network_policies", "kube-network-policies", "0.8.0", "sigs.k8s.io/kube-network-policies/cmd"),
        Binary(
            "node_packages",
            "programs of a Kubernetes node",
            _PACKAGES["containerd"],
            (),
            debian_packages(_PACKAGES, "node-packages.tar"),
        ),
    )


def build_all(environ: Mapping[str, str], on_progress: Callable[[str], None]) -> None:
    """Fetch or build everything that a node and the images need."""
    others = (cert_manager_definitions(), busybox(), python_packages(), kube_state_metrics(), postgres_exporter())
    for binary in (*node_binaries(), *others):
        find(binary, environ, on_progress)


def kube_state_metrics() -> Binary:
    """kube-state-metrics."""
    return _go_tool("kube_state_metrics", "kube-state-metrics", "2.18.0", "k8s.io/kube-state-metrics/v2")


def postgres_exporter() -> Binary:
    """The exporter of PostgreSQL with the options that the manifests use, which Debian's lacks."""
    module = "github.com/prometheus-community/postgres_exporter/cmd/postgres_exporter"
    return _go_tool("postgres_exporter", "postgres_exporter", "0.17.1", module)


def cert_manager_definitions() -> Binary:
    """The CustomResourceDefinitions of cert-manager, without the lines that only its Helm chart can render."""
    module = "github.com/cert-manager/cert-manager"
    files = f"$(go list -mod=mod -m -f '{{{{.Dir}}}}' {module})/deploy/crds/crd-*.yaml"
    last = f"mkdir bin && for file in {files}; do echo ---; grep -v '{{{{' $file; done > bin/definitions.yaml"
    steps = (
        Step("downloading", ("go", "mod", "download", module)),
        Step("copying", ("sh", "-ec", last)),
    )
    recipe = Recipe("definitions.yaml", steps, files=tuple(sorted((_MODULES / "cert_manager").iterdir())))
    return Binary("cert_manager", "cert-manager's definitions", "1.18.2", (), recipe)


def busybox() -> Binary:
    """The tools of the image that is copied into pods."""
    recipe = debian_packages({"busybox-static": "1:1.35.0"}, "busybox.tar")
    return Binary("busybox", "busybox", "1.35.0", (), recipe)


def python_packages() -> Binary:
    """An archive of Python and the libraries that it and compiled packages need."""
    version = _PYTHON_PACKAGES["python3.11"]
    recipe = debian_packages(_PYTHON_PACKAGES, "python.tar")
    return Binary("python_packages", "Python for images", version, (), recipe)


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack an archive into a new folder."""
    folder.mkdir(parents=True)
    subprocess.run(["tar", "--extract", f"--directory={folder}", f"--file={archive}"], check=True)  # noqa: S603, S607
    return folder


def _kubernetes_version() -> str:
    major, minor, _ = _KUBERNETES_VERSION.split(".")
    variables = {"gitVersion": f"v{_KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor}
    return "".join(f" -X k8s.io/component-base/version.{name}={value}" for name, value in variables.items())


def _go(name: str, title: str, version: str, linker_options: str = "") -> Binary:
    # Not readonly: the checksums of modules that only tests use are not in go.sum.
    command = ("go", "build", "-mod=mod", "-trimpath", f"-ldflags=-s -w{linker_options}", f"-o=bin/{name}", ".")
    recipe = Recipe(name, (Step("compiling", command),), files=tuple(sorted((_MODULES / name).iterdir())))
    return Binary(name, title, version, (), recipe)


def _go_tool(name: str, title: str, version: str, package: str) -> Binary:
    command = ("go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", f"-o=bin/{name}", package)
    recipe = Recipe(name, (Step("compiling", command),), files=tuple(sorted((_MODULES / name).iterdir())))
    return Binary(f"node_{name}", title, version, (), recipe)
