"""The table of settings in the documentation and the command line."""

from pathlib import Path

from trust_ops import settings_table
from trust_ops.variables import VARIABLES
from trust_otel.settings import SETTINGS

_ROOT = Path(__file__).parents[3]


def test_documentation_page_is_up_to_date() -> None:
    page = _ROOT / "docs" / "settings.md"
    assert page.read_text() == settings_table.settings_page(), "run `make generate`"


def test_every_setting_is_on_the_page_once() -> None:
    page = settings_table.settings_page()
    for setting in (*SETTINGS, *VARIABLES):
        assert page.count(f"| `{setting.name}`{' †' if setting.secret else ''} |") == 1


def test_cells_do_not_break_the_table() -> None:
    for setting in (*SETTINGS, *VARIABLES):
        assert "|" not in setting.help
        assert "\n" not in setting.help


def test_json_has_what_is_set_and_whether_it_is_valid() -> None:
    rows = {
        row["name"]: row
        for row in settings_table.settings_json({"TRUST_OTEL_STRICT": "yes", "OTEL_SDK_DISABLED": "true"})
    }
    assert list(rows) == [setting.name for setting in (*SETTINGS, *VARIABLES)]
    assert (rows["TRUST_OTEL_STRICT"]["set"], rows["TRUST_OTEL_STRICT"]["usable"]) == ("yes", False)
    assert (rows["OTEL_SDK_DISABLED"]["set"], rows["OTEL_SDK_DISABLED"]["usable"]) == ("true", True)
    assert (rows["OTEL_METRICS_EXPORTER"]["set"], rows["OTEL_METRICS_EXPORTER"]["default"]) == (None, "otlp")


def test_text_marks_invalid_values() -> None:
    text = settings_table.settings_text({"OTEL_METRIC_EXPORT_INTERVAL": "soon", "OTEL_SDK_DISABLED": "false"})
    assert "set to 'soon' - BAD: set it to a whole number of milliseconds from 1 to 86400000" in text
    assert text.count("BAD") == 1
    assert "set to 'false'" in text


def test_text_shows_an_empty_value_as_unset() -> None:
    assert "set to ''" not in settings_table.settings_text({"OTEL_METRICS_EXPORTER": ""})
