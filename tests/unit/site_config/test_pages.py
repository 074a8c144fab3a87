"""The example files and the tables of the documentation."""

from pathlib import Path

import pytest

from trust_ops.site_config import RenderError
from trust_ops.site_config.env_file import parse
from trust_ops.site_config.pages import env_example, generated, with_table
from trust_ops.site_config.variables import VARIABLES, read


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == generated()[path], "run `make generate`"


def test_the_example_names_every_variable_once_and_sets_none() -> None:
    parsed = parse(env_example(), {})
    assert list(parsed.values) == sorted(
        (variable.name for variable in VARIABLES),
        key=lambda name: [variable.optional for variable in VARIABLES if variable.name == name],
    )
    assert set(parsed.values.values()) == {""}


def test_the_example_cannot_be_deployed_as_it_is() -> None:
    with pytest.raises(RenderError) as error:
        read(parse(env_example(), {}).values)
    assert {problem.subject for problem in error.value.problems} == {
        variable.name for variable in VARIABLES if not variable.optional
    }


def test_a_page_without_the_markers_is_rejected() -> None:
    with pytest.raises(ValueError, match="markers around the table are missing"):
        with_table("# Alerting\n", "variables", "")


def test_a_cell_never_breaks_the_table() -> None:
    for variable in VARIABLES:
        assert "|" not in variable.help
        assert "\n" not in variable.help
