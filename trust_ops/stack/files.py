"""Where the configuration files are: in the repository, or inside the installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_PACKAGED = _PACKAGE / "files"
_CHECKOUT = _PACKAGE.parent.parent


def project_file(name: str) -> Path:
    """Path of a file of the project, named as in the repository, e.g. `collector/local.yaml`.

    Raises FileNotFoundError with the places that were looked at.
    """
    candidates = (_PACKAGED / name, _CHECKOUT / name)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = " and ".join(str(candidate) for candidate in candidates)
    raise FileNotFoundError(f"{name} is missing: looked for {places}. Reinstall trust-otel.")


def collector_manifest() -> Path:
    """What the Collector is built from."""
    return project_file("collector/builder.yaml")


def collector_extension() -> Path:
    """The folder of our own extension of the Collector, which the manifest names beside itself."""
    return project_file("collector/queuecheck/go.mod").parent


def collector_config() -> Path:
    """The Collector's configuration for the local stack."""
    return project_file("collector/local.yaml")


def prometheus_files() -> tuple[Path, ...]:
    """Prometheus' configuration and the rule files that it names."""
    rules = ("recording", "alerts")
    return prometheus_config(), *(project_file(f"monitoring/prometheus/trust-service-{name}.yml") for name in rules)


def postgresql_queries() -> Path:
    """What the exporter for PostgreSQL asks beside its own queries."""
    return project_file("monitoring/postgres-exporter/queries.yml")


def prometheus_config() -> Path:
    """Prometheus' configuration; the same file in every deployment."""
    return project_file("monitoring/prometheus/prometheus.yml")


def access_file() -> Path:
    """Who sees what in Grafana."""
    return project_file("monitoring/provisioning/access.yml")


def go_module(name: str) -> tuple[Path, Path]:
    """The pinned go.mod and go.sum that a component is built through."""
    folder = _PACKAGE / "go" / name
    return folder / "go.mod", folder / "go.sum"
