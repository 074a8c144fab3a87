"""Finds references to missing files, commands, settings, series, panels, alerts and functions in texts."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import shlex
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import entry_points
from itertools import takewhile
from pathlib import Path
from typing import Any

import click
import opentelemetry.environment_variables

import trust_otel
from tests.contract.rule_files import ALERTS, FILES, vocabulary
from tests.contract.runbook_pages import read_page
from trust_ops.cli import main
from trust_ops.variables import VARIABLES
from trust_otel import TrustServiceMetrics
from trust_otel.semconv import attributes, events, metrics
from trust_otel.settings import SETTINGS

ROOT = Path(__file__).parents[2]
_SOURCES = ("trust_otel", "trust_ops", "collector", "monitoring", "examples", "testbed", "tools", "benchmarks")
_FOLDERS = (*_SOURCES, "docs", "tests", ".github", ".ci")
_NOT_OURS = {"node_modules", "__pycache__", "dist", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
WRITTEN_ELSEWHERE = {
    # Written by the operator, beside Prometheus' configuration.
    "targets/collector*.json",
    "targets/trust-service*.json",
    # The settings of a site.
    "monitoring/site.yml",
}
NO_SERIES = {
    # The naming scheme in Prometheus' documentation.
    "level:metric:operations",
    # A key in the web configuration file of exporter-toolkit.
    "http_server_config",
}
# A test alert in a runbook.
NO_RULES = {"TrustTest"}
# Added by the example in CONTRIBUTING.md.
ADDED_BY_EXAMPLE = re.compile("TrustDocumentRejections|TRUST_DOCUMENT_REJECTIONS|record_document_rejection")
_SHOWN = {"content", "description", "displayName", "label", "noValue", "text", "title", "tooltip", "url"}
_PANEL_LIST = re.compile(r"Panels?: ([^()]+ \([\w-]+\)(?:, [^()]+ \([\w-]+\))*)")
_FILE_ENDINGS = "py|ya?ml|md|json|toml|env|ini|tmpl|svg|png|proto|mmdb|go|mjs|tsx?|txt|example|lock"


@dataclass(frozen=True)
class Text:
    """A text for readers.

    Attributes:
        name: Name in test output.
        content: The complete text.
        path: Its file, if any.
    """

    name: str
    content: str
    path: Path = ROOT / "README.md"

    @property
    def is_markdown(self) -> bool:
        """Whether the text is Markdown."""
        return self.name.endswith(".md")

    def code(self) -> list[str]:
        """Code spans, and the lines of code blocks with continued lines joined."""
        blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", self.content, re.MULTILINE | re.DOTALL)
        prose = re.sub(r"^ *```\w*\n.*?^ *```$", "", self.content, flags=re.MULTILINE | re.DOTALL)
        lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
        return [*re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose), *lines]


@functools.cache
def texts() -> tuple[Text, ...]:
    """All texts for readers."""
    return (*_pages(), *_configuration(), *_dashboards(), *_help(main, ("trust-otel",)))


def _pages() -> Iterator[Text]:
    for pattern in ("*.md", "docs/*.md", "examples/*/*.md", ".github/**/*.md", "monitoring/**/*.md"):
        for path in sorted(ROOT.glob(pattern)):
            content = path.read_text(encoding="utf-8")
            if path.name == "CONTRIBUTING.md":
                content = ADDED_BY_EXAMPLE.sub("", content)
            yield Text(str(path.relative_to(ROOT)), content, path)


def _configuration() -> Iterator[Text]:
    files = [
        *FILES,
        ROOT / "Makefile",
        ROOT / "monitoring" / ".env.example",
        *(ROOT / "monitoring" / "provisioning").rglob("*.*"),
        *(ROOT / "monitoring" / "alertmanager").glob("*.*"),
        *(ROOT / "collector").glob("*.yaml"),
        *(ROOT / ".github").rglob("*.yml"),
    ]
    for path in sorted(files):
        yield Text(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"), path)


def _dashboards() -> Iterator[Text]:
    for path in sorted((ROOT / "monitoring" / "grafana").glob("*.json")):
        shown = "\n\n".join(_shown(json.loads(path.read_text(encoding="utf-8"))))
        yield Text(str(path.relative_to(ROOT)), shown, path)


def _shown(value: Any) -> Iterator[str]:
    """The displayed texts of a dashboard."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _SHOWN and isinstance(inner, str):
                yield inner
            yield from _shown(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _shown(inner)


def _help(command: click.Command, names: tuple[str, ...]) -> Iterator[Text]:
    name = " ".join(names)
    yield Text(f"{name} --help", command.get_help(click.Context(command, info_name=name)))
    for inner, subcommand in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _help(subcommand, (*names, inner))


@functools.cache
def files() -> frozenset[str]:
    """Paths of the project's files and folders, relative to its root."""
    found = set()
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in _NOT_OURS and not name.startswith(".venv")]
        here = Path(folder).relative_to(ROOT)
        found |= {(here / name).as_posix() for name in (*folders, *names)}
    return frozenset(found)


@functools.cache
def _ignored() -> frozenset[str]:
    """Paths in .gitignore."""
    return frozenset(
        (ignores.parent.relative_to(ROOT) / name).as_posix().removeprefix("./")
        for ignores in (ROOT / ".gitignore", ROOT / "tools" / "preview" / ".gitignore")
        for name in ignores.read_text(encoding="utf-8").split()
    )


def _is_file(name: str) -> bool:
    name = name.rstrip("/")
    if name in _ignored() or name in WRITTEN_ELSEWHERE:
        return True
    return (
        any(fnmatch(file, name) or fnmatch(file, f"*/{name}") for file in files()) if "*" in name else name in _ends()
    )


@functools.cache
def _ends() -> frozenset[str]:
    """All paths, and all their suffixes of whole names."""
    return frozenset(
        "/".join(parts[start:]) for file in files() for parts in (file.split("/"),) for start in range(len(parts))
    )


def unknown_links(text: Text) -> Iterator[str]:
    """Links to missing files or headings."""
    for link in re.findall(r"\]\(([^)\s]+)\)", text.content) if text.is_markdown else ():
        address, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (text.path.parent / address).resolve() if address else text.path
        if not target.exists() or (anchor and anchor not in read_page(target).anchors()):
            yield link


def unknown_paths(text: Text) -> Iterator[str]:
    """Missing paths: those that begin with a folder of the project, or that are files in code."""
    for path in re.findall(rf"(?<![\w/.:$<>~-])(?:{'|'.join(map(re.escape, _FOLDERS))})/[\w./*-]*", text.content):
        if not _is_file(path.rstrip(".")):
            yield path
    spans = re.findall(r"`([^`\s]+)`", text.content)
    for span in spans if text.is_markdown else ():
        name = re.sub(r"^(?:\.\.?/)+", "", span)
        if re.fullmatch(rf"[\w.*-][\w./*-]*\.(?:{_FILE_ENDINGS})", name) and not _is_file(name):
            yield span


def unknown_commands(text: Text) -> Iterator[str]:
    """Calls of `trust-otel` with an unknown command or option."""
    for line in _command_lines(text):
        yield from problems_of_command(line)


def problems_of_command(line: str) -> Iterator[str]:
    """Problems of a call of trust-otel in a shell line."""
    called = re.search(r"(?<![\w'\"-])trust-otel (?=[a-z])(.*)", re.sub(r"<[^<>]+>", "PLACEHOLDER", line))
    if called is None:
        return
    words = list(takewhile(lambda word: word not in ("|", "&&", ";", ">"), shlex.split(called[1], comments=True)))
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        if name not in command.commands:
            yield f"{line}: trust-otel has no {name}"
            return
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    used = [word.partition("=")[0] for word in words if word.startswith("--")]
    yield from (f"{line}: no option {word}" for word in used if word not in {*options, "--help"})


def unknown_targets(text: Text) -> Iterator[str]:
    """Calls of `make` with an unknown target or variable."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w./-]+):", makefile, re.MULTILINE))
    for line in _command_lines(text):
        called = re.match(r"(?:nice (?:-n \d+ )?)?make ([^#|&;]+)", line)
        for word in called[1].split() if called else ():
            name, is_variable, _ = word.partition("=")
            if f"$({name})" not in makefile if is_variable else name not in targets:
                yield f"make {word}"


def unknown_modules(text: Text) -> Iterator[str]:
    """Modules after `python -m` that do not exist."""
    for module in re.findall(r"python3? -m ([\w.]+)", text.content):
        if importlib.util.find_spec(module.rstrip(".")) is None:
            yield module


def _command_lines(text: Text) -> list[str]:
    return text.code() if text.is_markdown else re.findall(r"`([^`\n]+)`", text.content)


@functools.cache
def known_settings() -> frozenset[str]:
    """Variables that the project's programs or OpenTelemetry read."""
    upstream = Path(opentelemetry.environment_variables.__file__).parents[1]
    programs = [file for folder in _SOURCES for file in (ROOT / folder).rglob("*.py")]
    programs += [*(ROOT / "collector").glob("*.yaml"), *upstream.rglob("*environment_variables*.py")]
    programs += upstream.glob("**/environment_variables/*.py")
    found = {setting.name for setting in (*SETTINGS, *VARIABLES)} | set(_variables_of(main))
    for program in programs:
        if "node_modules" not in program.parts:
            found |= set(re.findall(r"\b(?:OTEL|TRUST)_[A-Z0-9_]+\b", program.read_text(encoding="utf-8")))
    return frozenset(found)


def _variables_of(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter.envvar, str):
            yield parameter.envvar
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _variables_of(inner)


def unknown_settings(text: Text) -> Iterator[str]:
    """Unknown variables of trust-otel or OpenTelemetry."""
    for name in re.findall(r"(?<![\w$])(?:TRUST|OTEL)_[A-Z0-9_]+\b(?!\*)", text.content):
        if name.rstrip("_") not in known_settings() and not name.endswith("_"):
            yield name


_PREFIXES = "alertmanager|container|db|http|kube|node|otelcol|process|prometheus|redis|rpc|trust"


@functools.cache
def known_names() -> frozenset[str]:
    """Series, labels, metrics, events, attributes and recorded series."""
    series = vocabulary().series
    found = {*series, *(label for one in series.values() for label in one.labels)}
    found |= {name.removesuffix(end) for name in series for end in ("_bucket", "_count", "_sum")}
    found |= {
        one.name
        for one in (*vars(attributes).values(), *metrics.ALL.values(), *events.ALL.values())
        if hasattr(one, "name")
    }
    return frozenset(found)


def unknown_series(text: Text) -> Iterator[str]:
    """Unknown metrics and attributes in code."""
    spans = [re.sub(r"[{\[].*", "", span) for span in re.findall(r"`([^`\s]+)`", text.content)]
    like_series = re.compile(rf"(?:{_PREFIXES})_[a-z0-9_]+|\w+:\w+:\w+|trust(?:\.[a-z0-9_]+)+")
    instrumentors = (entry.name for entry in entry_points(group="opentelemetry_instrumentor"))
    names = {"trust_otel", "trust_ops", "trust_service", *dir(TrustServiceMetrics), *instrumentors}
    for span in spans:
        if like_series.fullmatch(span) and span not in known_names() | names | NO_SERIES and not _is_file(span):
            yield span


@functools.cache
def panels() -> Mapping[str, Mapping[int, str]]:
    """Panels as written in texts, `title (dashboard)`, by dashboard uid and panel number."""
    found = {}
    for path in (ROOT / "monitoring" / "grafana").glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        dashboard = content["title"].removeprefix("Trust service: ")
        found[content["uid"]] = {panel["id"]: f"{panel['title']} ({dashboard})" for panel in content["panels"]}
    return found


def listed_panels(text: str) -> list[str]:
    """The panels in lists such as `Panels: Error rate (operations), Thread pools (operations)`."""
    return [name for listed in _PANEL_LIST.findall(" ".join(text.split())) for name in listed.split(", ")]


def unknown_panels(text: Text) -> Iterator[str]:
    """Links to dashboards and panels, and listed panels, that do not exist."""
    for uid, number in re.findall(r"/d/([\w-]+)[^\s?\"']*(?:\?[^\s\"')]*?viewPanel=(?:panel-)?(\d+))?", text.content):
        if uid not in panels() or (number and int(number) not in panels()[uid]):
            yield f"/d/{uid} {number}"
    known = {name for names in panels().values() for name in names.values()}
    yield from (name for name in listed_panels(text.content) if name not in known)


def unknown_functions(text: Text) -> Iterator[str]:
    """Unknown API calls, and names like API calls."""
    api = typing.get_type_hints(trust_otel.get_metrics)["return"]
    called = re.findall(r"\bmetrics\.([a-z_]\w*)\(?(?![\w.*/])", "\n".join(_command_lines(text)))
    alike = re.findall(r"(?<![\w./`-])`?((?:record|session)_[a-z_]+)\b(?![.*/])", text.content)
    for name in {*called, *alike}:
        if not hasattr(api, name) and name not in known_names():
            yield name


@functools.cache
def _classes() -> frozenset[str]:
    sources = [
        file for folder in _SOURCES for file in (ROOT / folder).rglob("*.py") if "node_modules" not in file.parts
    ]
    return frozenset(
        name
        for source in sources
        for name in re.findall(r"^\s*class (Trust\w+)", source.read_text(encoding="utf-8"), re.MULTILINE)
    )


def unknown_alerts(text: Text) -> Iterator[str]:
    """Unknown names in the form of alert names."""
    known = {alert.name for alert in ALERTS} | _classes() | NO_RULES
    for name, pattern in re.findall(r"\b(Trust[A-Z][A-Za-z]+)\b(\.[+*])?", text.content):
        if not any(one.startswith(name) for one in known) if pattern else name not in known:
            yield name


def requirement_codes(text: Text) -> Iterator[str]:
    """Codes of requirements or panels, which readers do not know. Comments in rule files may use them."""
    left_out = "```.*?```|`[^`]*`" if text.is_markdown else r"^ *#[^\n]*" if text.path in FILES else r"\Z"
    shown = re.sub(left_out, "", text.content, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"(?<![\w./-])[ABDKMORSX]\d{1,2}(?![\w-])", shown)


Check = Callable[[Text], Iterator[str]]

CHECKS: tuple[Check, ...] = (
    unknown_links,
    unknown_paths,
    unknown_commands,
    unknown_targets,
    unknown_modules,
    unknown_settings,
    unknown_series,
    unknown_panels,
    unknown_functions,
    unknown_alerts,
    requirement_codes,
)
