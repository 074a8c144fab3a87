"""The variables of the command line: declared once, used by the commands, ignored by the service."""

import json
from collections.abc import Iterator

import click

from trust_ops import settings_table
from trust_ops.cli import main
from trust_ops.stack.recipes import binaries
from trust_ops.variables import VARIABLES, unknown_names
from trust_otel import settings

_NAMES = [variable.name for variable in VARIABLES]


def _options(command: click.Command) -> Iterator[click.Option]:
    yield from (parameter for parameter in command.params if isinstance(parameter, click.Option))
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _options(inner)


def test_exactly_the_variables_of_options_and_executables_are_declared() -> None:
    of_options = {option.envvar for option in _options(main) if option.envvar}
    assert of_options | {binary.variable for binary in binaries().values()} == set(_NAMES)
    assert len(_NAMES) == len(set(_NAMES))


def test_option_has_the_default_and_help_of_its_variable() -> None:
    declared = {variable.name: variable for variable in VARIABLES}
    for option in _options(main):
        if isinstance(option.envvar, str):
            variable = declared[option.envvar]
            assert option.help == variable.help
            assert variable.default is None or str(option.default) == variable.default


def test_service_ignores_them() -> None:
    assert settings.unknown_names(dict.fromkeys(_NAMES, "x")) == []


def test_misspelled_name_is_found() -> None:
    (unknown,) = unknown_names({"TRUST_OTEL_INCIDENTS_DATABSE": "x", "TRUST_OTEL_STACK_DIRECTORY": "x"})
    assert str(unknown) == "TRUST_OTEL_INCIDENTS_DATABSE is not a setting; did you mean TRUST_OTEL_INCIDENTS_DATABASE?"
    (unknown,) = unknown_names({"TRUST_OTEL_STRIKT": "x"})
    assert unknown.suggestion == "TRUST_OTEL_STRICT"


def test_table_shows_them_without_secrets() -> None:
    environment = dict.fromkeys(_NAMES, "HuNtEr2")
    shown = settings_table.settings_text(environment)
    rows = {row["name"]: row["set"] for row in settings_table.settings_json(environment)}
    secret = {variable.name for variable in VARIABLES if variable.secret}
    assert {name for name in _NAMES if rows[name] == settings_table.HIDDEN} == secret
    assert shown.count("HuNtEr2") == len(VARIABLES) - len(secret)
    assert "TRUST_OTEL_INCIDENTS_DATABASE" in secret
    assert json.dumps(rows).count("HuNtEr2") == len(VARIABLES) - len(secret)
