"""Building the preview, and the errors when it cannot be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.preview_building import never_built, programs  # noqa: F401 - a fixture
from tools.preview import BuildFailed, building

pytestmark = pytest.mark.usefixtures("never_built")


@pytest.mark.parametrize(("scripts", "missing"), [({}, "node"), ({"node": "echo v20.1.0"}, "npm")])
def test_missing_node_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scripts: dict[str, str], missing: str
) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path, **scripts))
    with pytest.raises(BuildFailed, match=rf"{missing} is not installed.*Node\.js 20"):
        building.built(print)


def test_an_up_to_date_build_is_reused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "nothing").write_text(building._digest())
    assert building.built(print) == building.DIST
