"""Renders the files from the variables and the site's settings, and writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import yaml

from trust_ops.site_config import dashboards, grafana_access, routes, rules, slo_rules, template, variables
from trust_ops.site_config.errors import Problem, RenderError
from trust_ops.site_config.published_alerts import ALERT_RULES
from trust_ops.site_config.site import DEFAULTS, Site
from trust_ops.stack.files import access_file, project_file

CONFIGURATION = "trust-service-alertmanager.yml"
NOTIFICATIONS = (
    "trust-service-common.tmpl",
    "trust-service-email.tmpl",
    "trust-service-pagerduty.tmpl",
    "trust-service-slack.tmpl",
)
RULES = (ALERT_RULES, rules.RECORDING_RULES, slo_rules.FILE)
ACCESS = "access.yml"
SECRETS = "secrets"

_HEADER = f"# Written by `trust-otel render` from monitoring/alertmanager/{CONFIGURATION}. Do not edit.\n"


@dataclass(frozen=True)
class Rendered:
    """The rendered files.

    Attributes:
        configuration: Alertmanager's configuration.
        texts: The other files by name: notification templates, rules, dashboards and access to Grafana.
        secrets: The content of each secret file by name.
    """

    configuration: dict[str, Any]
    texts: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)


def render(
    environment: Mapping[str, str], secrets_folder: str, site: Site = DEFAULTS, templates: Path | None = None
) -> Rendered:
    """Insert variables and settings into the templates. `secrets_folder` is where Alertmanager finds the secrets.

    `templates` is the directory of Alertmanager's templates; `None` for those of the package. Raises OSError if one of
    them cannot be read.

    Raises RenderError that lists all missing or invalid variables and all receivers without a channel.
    """
    if not secrets_folder.startswith("/"):
        raise RenderError([Problem("--secrets-dir", "use the absolute path, as Alertmanager sees it")])
    values = variables.read(environment).with_texts(site.links)
    source = routes.for_site(yaml.safe_load(_alertmanager_file(CONFIGURATION, templates)), site)
    configuration = template.substitute(source, values, secrets_folder.rstrip("/"))
    problems = template.empty_receivers(configuration)
    if problems:
        raise RenderError(problems)
    texts = {name: template.substitute_strings(_alertmanager_file(name, templates), values) for name in NOTIFICATIONS}
    texts |= rules.rule_files(site) | dashboards.dashboards(site)
    texts[ACCESS] = grafana_access.for_site(access_file().read_text(encoding="utf-8"), site)
    return Rendered(configuration, texts, _used(values.secrets(), configuration))


def write(rendered: Rendered, folder: Path) -> list[Path]:
    """Write all files atomically, the configuration last. Returns their paths.

    Removes secrets that are no longer used. Only the owner can access the directory of the secrets.
    """
    secrets = folder / SECRETS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / dashboards.FOLDER).mkdir(exist_ok=True)
    secrets.mkdir(mode=0o700, exist_ok=True)
    secrets.chmod(0o700)
    for name in variables.BY_NAME.keys() - rendered.secrets.keys():
        (secrets / name).unlink(missing_ok=True)
    written = [_replace(secrets / name, text, 0o600) for name, text in rendered.secrets.items()]
    written += [_replace(folder / name, text, 0o644) for name, text in rendered.texts.items()]
    text = _HEADER + template.dump(rendered.configuration)
    return [*written, _replace(folder / CONFIGURATION, text, 0o644)]


def _alertmanager_file(name: str, templates: Path | None) -> str:
    path = project_file(f"monitoring/alertmanager/{name}") if templates is None else templates / name
    return path.read_text(encoding="utf-8")


def _used(secrets: Mapping[str, str], configuration: Any) -> dict[str, str]:
    """The secrets that some channel reads."""
    read = {text.rpartition("/")[2] for text in _texts(configuration)}
    return {name: secret for name, secret in secrets.items() if name in read}


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _texts(part)


def _replace(path: Path, text: str, mode: int) -> Path:
    with NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            os.fchmod(file.fileno(), mode)
            file.write(text.encode())
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return path
