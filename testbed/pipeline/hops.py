"""Starts the agent, the gateways and Prometheus, each with the files of a deployment."""

from __future__ import annotations

import os
import shutil
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from testbed.drill.tcp_proxy import TcpProxy
from testbed.pipeline.credentials import PROMETHEUS_USER, Credentials
from testbed.pipeline.program import Program
from trust_ops.stack import files
from trust_ops.stack.binaries import find
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.recipes import binaries


@dataclass(frozen=True)
class Pipeline:
    """Agent, gateways and Prometheus, and how to talk to them."""

    credentials: Credentials
    client: httpx.Client
    """Has the certificate of a service, and no token."""
    agent: Program
    gateways: tuple[Program, ...]
    prometheus: Program
    service: TcpProxy
    """Between agent and gateways, as a Kubernetes Service; cut, there is no network."""

    def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """The labels and the value of each series of an instant query."""
        return [(each["metric"], float(each["value"][1])) for each in self._results(expression)]

    def samples(self, selector: str) -> list[list[tuple[float, float]]]:
        """The time and value of every sample of each series; the selector has a range."""
        return [[(at, float(value)) for at, value in each["values"]] for each in self._results(selector)]

    def _results(self, expression: str) -> list[dict[str, Any]]:
        answer = self.client.get(
            f"https://{self.prometheus.endpoints['WEB']}/api/v1/query",
            params={"query": expression},
            auth=(PROMETHEUS_USER, self.credentials.token("prometheus")),
            timeout=60,
        )
        answer.raise_for_status()
        results: list[dict[str, Any]] = answer.json()["data"]["result"]
        return results


@contextmanager
def pipeline(
    directory: Path, *, gateways: int = 2, settings: Mapping[str, str] | None = None, overlays: tuple[str, ...] = ()
) -> Iterator[Pipeline]:
    """A running pipeline; its programs end with the block.

    `settings` are variables of agent and gateways, `overlays` files in collector/ that follow gateway.yaml.
    """
    credentials = Credentials(directory)
    with ExitStack() as stack:
        client = stack.enter_context(_client(credentials))
        service = stack.enter_context(TcpProxy())
        builder = _Builder(directory, credentials, client, settings or {}, overlays)
        prometheus = builder.prometheus()
        members = tuple(builder.gateway(number, prometheus) for number in range(gateways))
        service.set_target(*(int(each.endpoints["GRPC"].rpartition(":")[2]) for each in members))
        agent = builder.agent(f"{LOOPBACK}:{service.port}")
        for program in (prometheus, *members, agent):
            stack.callback(program.stop)
            program.start()
        yield Pipeline(credentials, client, agent, members, prometheus, service)


def _client(credentials: Credentials) -> httpx.Client:
    context = ssl.create_default_context(cafile=credentials.tls / "ca.crt")
    context.load_cert_chain(credentials.tls / "tls.crt", credentials.tls / "tls.key")
    return httpx.Client(verify=context, trust_env=False)


@dataclass(frozen=True)
class _Builder:
    directory: Path
    credentials: Credentials
    client: httpx.Client
    settings: Mapping[str, str]
    overlays: tuple[str, ...]

    def prometheus(self) -> Program:
        folder = self.directory / "prometheus"
        (folder / "targets").mkdir(parents=True)
        for file in files.prometheus_files():
            shutil.copy(file, folder)
        (address,) = _addresses(1)
        command = [
            _executable("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            f"--web.config.file={self.credentials.web_config(self.directory / 'web.yml')}",
            "--web.enable-otlp-receiver",
            "--web.enable-remote-write-receiver",
            "--enable-feature=created-timestamp-zero-ingestion,exemplar-storage",
        ]
        user = f"{PROMETHEUS_USER}:{self.credentials.token('prometheus')}"
        return self._program("prometheus", command, {}, {"WEB": address}, f"https://{user}@{address}/-/ready")

    def gateway(self, number: int, prometheus: Program) -> Program:
        return self._collector(
            "gateway",
            f"gateway-{number}",
            ("GRPC", "HEALTH", "METRICS"),
            {
                "TOKENS_FILE": self._token("agents"),
                "PROMETHEUS_ENDPOINT": f"https://{prometheus.endpoints['WEB']}/api/v1/otlp",
                "STORES_USER": PROMETHEUS_USER,
                "STORES_PASSWORD_FILE": self._token("prometheus"),
                "REMOTE_WRITE_ENDPOINT": f"https://{prometheus.endpoints['WEB']}/api/v1/write",
                "EVENTS_FILE": str(self.directory / f"events-{number}.jsonl"),
            },
            self.overlays,
        )

    def agent(self, gateway: str) -> Program:
        return self._collector(
            "agent",
            "agent",
            ("GRPC", "HTTP", "HEALTH", "METRICS"),
            {
                "TOKENS_FILE": self._token("services"),
                "GATEWAY_ENDPOINT": gateway,
                "GATEWAY_TOKEN_FILE": self._token("agents"),
                "WITHOUT_KUBERNETES": "true",
            },
        )

    def _collector(
        self,
        kind: str,
        name: str,
        listeners: tuple[str, ...],
        variables: Mapping[str, str],
        overlays: tuple[str, ...] = (),
    ) -> Program:
        endpoints = dict(zip(listeners, _addresses(len(listeners)), strict=True))
        (self_port,) = free_ports(1)
        every = {
            **{f"{listener}_ENDPOINT": address for listener, address in endpoints.items()},
            "SELF_PORT": str(self_port),
            "TLS_DIRECTORY": str(self.credentials.tls),
            "METRICS_TOKEN_FILE": self._token("metrics"),
            "QUEUE_DIRECTORY": str(self.directory / name / "queue"),
            **variables,
        }
        environment = {f"TRUST_OTEL_{kind.upper()}_{key}": value for key, value in every.items()}
        configuration = (f"collector/{file}" for file in (f"{kind}.yaml", *overlays))
        command = [_executable("collector"), *(f"--config={files.project_file(file)}" for file in configuration)]
        health = f"https://{endpoints['HEALTH']}"
        return self._program(name, command, {**environment, **self.settings}, endpoints, health)

    def _program(
        self, name: str, command: list[str], environment: Mapping[str, str], endpoints: Mapping[str, str], health: str
    ) -> Program:
        return Program(name, command, environment, endpoints, health, self.client, self.directory)

    def _token(self, name: str) -> str:
        return str(self.credentials.tokens / name)


def _executable(name: str) -> str:
    return str(find(binaries()[name], os.environ, print))


def _addresses(number: int) -> list[str]:
    return [f"{LOOPBACK}:{port}" for port in free_ports(number)]
