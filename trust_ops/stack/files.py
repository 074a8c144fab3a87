"""Locates the configuration files in the repository or in the installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_PACKAGED = _PACKAGE / "files"
_CHECKOUT = _PACKAGE.parent.parent


def project_file(name: str) -> Path:
    """Path of a file of the project, named as in the repository, e.g. `collector/local.yaml`.

    Raises FileNotFoundError that lists the searched paths.
    """
    candidates = (_PACKAGED / name, _CHECKOUT / name)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = " and ".join(str(candidate) for candidate in candidates)
    raise FileNotFoundError(f"{name} is missing: searched {places}. Reinstall trust-otel-ops.")


def collector_manifest() -> Path:
    """The manifest of the Collector build."""
    return project_file("collector/builder.yaml")


def collector_extension() -> Path:
    """The directory of our own Collector extension, which the manifest refers to."""
    return project_file("collector/queuecheck/go.mod").parent


def collector_config() -> Path:
    """The Collector's configuration for the local stack."""
    return project_file("collector/local.yaml")


def prometheus_files() -> tuple[Path, ...]:
    """Prometheus' configuration and its rule files."""
    rules = ("recording", "slo", "alerts")
    return prometheus_config(), *(project_file(f"monitoring/prometheus/trust-service-{name}.yml") for name in rules)


def postgresql_queries() -> Path:
    """Additional queries of the PostgreSQL exporter."""
    return project_file("monitoring/postgres-exporter/queries.yml")


def prometheus_config() -> Path:
    """Prometheus' configuration; the same file in every deployment."""
    return project_file("monitoring/prometheus/prometheus.yml")


def access_file() -> Path:
    """Access to Grafana folders and dashboards."""
    return project_file("monitoring/provisioning/access.yml")


def go_module(name: str) -> tuple[Path, Path]:
    """The pinned go.mod and go.sum of a component."""
    folder = _PACKAGE / "go" / name
    return folder / "go.mod", folder / "go.sum"
