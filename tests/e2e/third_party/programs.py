"""The programs: how each starts, and the requests that it receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """A request, and what its response must be.

    Attributes:
        method: The HTTP method.
        path: Path and query.
        body: The JSON body; None for none.
        status: The expected status.
        route: The expected `http.route`; None if no route matches.
    """

    method: str
    path: str
    body: Mapping[str, object] | None
    status: int
    route: str | None


@dataclass(frozen=True, eq=False)
class Program:
    """A program that others wrote.

    Attributes:
        name: Its name, and the group of its environment.
        processes: The command line of each process, in the order of their start. `{port}` serves HTTP, `{grpc_port}`
            gRPC; `{folder}` is an empty directory.
        files: Files in that directory, by name.
        environment: Variables of its processes.
        ready: The path that responds with 200 once the program works.
        requests: What it is asked, with the responses that it gives without instrumentation.
        rpc: Whether the first process serves gRPC to the second one, which starts once it does.
    """

    name: str
    processes: tuple[tuple[str, ...], ...]
    ready: str
    requests: tuple[Request, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    rpc: bool = False


_UNKNOWN = "00000000-0000-0000-0000-000000000000"

PREFECT = Program(
    "prefect",
    (("prefect", "server", "start", "--host", "127.0.0.1", "--port", "{port}"),),
    ready="/api/health",
    # Its analytics would ask an address outside of this machine.
    environment={"PREFECT_HOME": "{folder}", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"},
    requests=(
        Request("POST", "/api/flows/", {"name": "first"}, 201, "/api/flows/"),
        Request("POST", "/api/flows/", {"name": "second"}, 201, "/api/flows/"),
        Request("POST", "/api/flows/", {"name": "first"}, 200, "/api/flows/"),
        Request("POST", "/api/flows/", {}, 422, "/api/flows/"),
        Request("GET", "/api/flows/name/first", None, 200, "/api/flows/name/{name}"),
        Request("GET", f"/api/flows/{_UNKNOWN}", None, 404, "/api/flows/{id:uuid}"),
        Request("POST", "/api/flows/filter", {}, 200, "/api/flows/filter"),
        Request("POST", "/api/flow_runs/filter", {}, 200, "/api/flow_runs/filter"),
        Request("DELETE", f"/api/flows/{_UNKNOWN}", None, 404, "/api/flows/{id:uuid}"),
        Request("GET", "/api/missing", None, 404, "/api/{path}"),
    ),
)

_REPOSITORIES = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name jobs { name } } } } }"

DAGSTER = Program(
    "dagster",
    (
        ("dagster", "api", "grpc", "--host", "127.0.0.1", "--port", "{grpc_port}", "-f", "definitions.py"),
        ("dagster-webserver", "-h", "127.0.0.1", "-p", "{port}", "-w", "workspace.yaml"),
    ),
    ready="/server_info",
    environment={"DAGSTER_HOME": "{folder}"},
    files={
        "dagster.yaml": "telemetry: {enabled: false}\n",
        "workspace.yaml": "load_from:\n  - grpc_server: {host: 127.0.0.1, port: {grpc_port}}\n",
        "definitions.py": (
            "import dagster\n\n\n"
            "@dagster.job\ndef nothing():\n    pass\n\n\n"
            "definitions = dagster.Definitions(jobs=[nothing])\n"
        ),
    },
    requests=(
        Request("POST", "/graphql", {"query": _REPOSITORIES}, 200, "/graphql"),
        Request("POST", "/graphql", {"query": _REPOSITORIES}, 200, "/graphql"),
        Request("POST", "/graphql", {"query": "{ nothing }"}, 400, "/graphql"),
        Request("GET", "/graphql", None, 400, "/graphql"),
        Request("GET", "/dagit_info", None, 200, "/dagit_info"),
        Request("GET", "/jobs/of/nothing", None, 200, "/{path:path}"),
    ),
    rpc=True,
)

_MLFLOW_API = "/api/2.0/mlflow/experiments"

MLFLOW = Program(
    "mlflow",
    (
        (
            *("mlflow", "server", "--host", "127.0.0.1", "--port", "{port}", "--workers", "2"),
            *("--backend-store-uri", "sqlite:///{folder}/mlflow.db", "--default-artifact-root", "{folder}/artifacts"),
        ),
    ),
    ready="/health",
    environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
    # Its API is a Flask application that FastAPI mounts: the mount is the only route that FastAPI knows.
    requests=(
        Request("POST", f"{_MLFLOW_API}/create", {"name": "first"}, 200, "/{path}"),
        Request("POST", f"{_MLFLOW_API}/create", {"name": "first"}, 400, "/{path}"),
        Request("GET", f"{_MLFLOW_API}/get?experiment_id=0", None, 200, "/{path}"),
        Request("GET", f"{_MLFLOW_API}/get?experiment_id=99", None, 404, "/{path}"),
        Request("GET", "/version", None, 200, "/{path}"),
        Request("GET", "/api/missing", None, 404, "/{path}"),
    ),
)

PROGRAMS = (PREFECT, DAGSTER, MLFLOW)
