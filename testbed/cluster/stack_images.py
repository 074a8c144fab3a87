"""The images that the manifests of `monitoring/k8s` name, written from what this project builds.

No registry can be reached, so an image contains what was built here: the same program, but not the publisher's build.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from testbed.cluster.images import Image
from testbed.cluster.programs import busybox, kube_state_metrics, postgres_exporter, python_packages, unpacked
from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import Binary, binaries

VERSION: Final = "0.1.0"
_PROMETHEUS: Final = "quay.io/prometheus/prometheus:v3.12.0"
OPS: Final = f"ghcr.io/trust-otel/ops:{VERSION}"
AUTOINSTRUMENTATION: Final = f"ghcr.io/trust-otel/autoinstrumentation-python:{VERSION}"
_PROJECT: Final = Path(__file__).parents[2]
_UV: Final = str(_PROJECT / ".venv-uv/bin/uv")
_PYTHON: Final = "/usr/bin/python3.11"
_STAND_IN: Final = Path(__file__).with_name("grafana_stand_in.py")


class StackImages:
    """Writes the images' contents.

    Args:
        folder: An empty folder.
        environ: As of `trust_ops.stack.binaries.find`.
        on_progress: Receives lines about builds.
        trusted: The certificate authorities that Alertmanager knows.
    """

    def __init__(
        self, folder: Path, environ: Mapping[str, str], on_progress: Callable[[str], None], trusted: Path
    ) -> None:
        self._folder = folder
        self._trusted = {"/etc/ssl/certs/ca-certificates.crt": trusted}
        self._environ, self._on_progress = environ, on_progress
        self._python = unpacked(self._find(python_packages()), folder / "python")

    def all(self) -> list[Image]:
        """Every image that `trust-service-monitoring.yaml` names."""
        return [
            self._static(_PROMETHEUS, "prometheus", "promtool"),
            Image(
                "quay.io/prometheus/alertmanager:v0.31.1",
                [{"/bin/alertmanager": self._stack("alertmanager"), **self._trusted}],
                ["/bin/alertmanager"],
            ),
            self._static("quay.io/prometheus/node-exporter:v1.12.1", "node_exporter"),
            Image(
                f"ghcr.io/trust-otel/collector:{VERSION}",
                [{"/otelcol-trust": self._stack("collector")}],
                ["/otelcol-trust"],
                "10001:10001",
            ),
            Image(
                "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.18.0",
                [{"/kube-state-metrics": self._find(kube_state_metrics())}],
                ["/kube-state-metrics"],
            ),
            Image(
                "quay.io/prometheuscommunity/postgres-exporter:v0.19.1",
                [{"/bin/postgres_exporter": self._find(postgres_exporter())}],
                ["/bin/postgres_exporter"],
            ),
            Image(
                "docker.io/oliver006/redis_exporter:v1.80.1",
                [self._debian, {"/redis_exporter": self._stack("redis_exporter")}],
                ["/redis_exporter"],
                "59000:59000",
            ),
            Image(
                "docker.io/grafana/grafana:11.6.8",
                [self._debian, {"/grafana_stand_in.py": _STAND_IN}],
                [_PYTHON, "/grafana_stand_in.py"],
                "472:472",
            ),
            self._ops(),
            self._autoinstrumentation(),
        ]

    def service(self, name: str, program: Path, *packages: str) -> Image:
        """An image with a Python program, and with packages in the versions of `uv.lock`.

        Args:
            name: With tag.
            program: Its source.
            packages: Names of packages.
        """
        installed = self._installed("service", ("--group=example",), *packages)
        return Image(
            name,
            [self._debian, {"/app/packages": installed, "/app/program.py": program}],
            [_PYTHON, "/app/program.py"],
            "10001:10001",
            {"PYTHONPATH": "/app/packages", "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def _ops(self) -> Image:
        packages = self._installed("ops", ("--package=trust-otel-ops",))
        folders = ("trust_otel", "trust_ops", "collector", "monitoring")
        project = {f"/opt/trust-otel/lib/{name}": _PROJECT / name for name in folders}
        script = self._folder / "trust-otel"
        script.write_text(f"#!{_PYTHON}\nfrom trust_ops.cli import main\nmain()\n")
        script.chmod(0o755)
        return Image(
            OPS,
            [self._debian, {"/opt/trust-otel/lib": packages}, {**project, "/opt/trust-otel/bin/trust-otel": script}],
            ["/opt/trust-otel/bin/trust-otel"],
            "10001:10001",
            {
                "PATH": "/opt/trust-otel/bin:/usr/bin:/bin",
                "PYTHONPATH": "/opt/trust-otel/lib",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )

    def _autoinstrumentation(self) -> Image:
        target = self._installed("autoinstrumentation", ("--package=trust-otel", "--extra=certificates"))
        shell = unpacked(self._find(busybox()), self._folder / "busybox") / "bin/busybox"
        # Also its metadata, which names the distro and the instrumentations.
        python = _PROJECT / ".venv/bin/python"
        _run([_UV, "pip", "install", "--quiet", "--no-deps", f"--python={python}", f"--target={target}", str(_PROJECT)])
        return Image(
            AUTOINSTRUMENTATION,
            [{"/bin/busybox": shell, "/bin/cp": shell, "/autoinstrumentation": target}],
            ["/bin/busybox"],
            "10001:10001",
            {"PATH": "/bin"},
        )

    @property
    def _debian(self) -> Mapping[str, Path]:
        return {f"/{each.name}": each for each in sorted(self._python.iterdir())}

    def _static(self, name: str, program: str, *others: str) -> Image:
        files = {f"/bin/{each}": self._stack(each) for each in (program, *others)}
        return Image(name, [files], [f"/bin/{program}"], environment={"PATH": "/bin"})

    def _stack(self, name: str) -> Path:
        return self._find(binaries()[name])

    def _find(self, binary: Binary) -> Path:
        return find(binary, self._environ, self._on_progress)

    def _installed(self, name: str, selected: tuple[str, ...], *packages: str) -> Path:
        """Packages of `uv.lock`, installed into a folder as the Dockerfiles do; by default all that are selected."""
        locked, target = self._folder / f"{name}.txt", self._folder / name
        export = [_UV, "export", "--quiet", "--frozen", "--no-default-groups", "--no-emit-workspace", "--no-hashes"]
        _run([*export, *selected, f"--output-file={locked}"])
        wanted = [f"--constraint={locked}", *packages] if packages else [f"--requirement={locked}"]
        python = _PROJECT / ".venv/bin/python"
        _run([_UV, "pip", "install", "--quiet", f"--python={python}", f"--target={target}", *wanted])
        return target


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=_PROJECT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
