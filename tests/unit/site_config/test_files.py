"""The written files, their modes, and atomic replacement."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from trust_ops.site_config import Rendered, RenderError, render, write
from trust_ops.site_config.files import ACCESS, CONFIGURATION, NOTIFICATIONS, RULES

Render = Callable[..., Rendered]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_secret_files_are_private(rendered: Render, tmp_path: Path) -> None:
    folder = tmp_path / "rendered"
    write(rendered(), folder)
    assert mode(folder / "secrets") == 0o700
    assert {mode(path) for path in (folder / "secrets").iterdir()} == {0o600}
    assert (folder / "secrets" / "SMTP_PASSWORD").read_text() == "correct-horse"
    assert mode(folder / CONFIGURATION) == 0o644


def test_a_readable_secrets_directory_is_made_private(rendered: Render, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o755)
    write(rendered(), tmp_path)
    assert mode(tmp_path / "secrets") == 0o700


def test_configuration_files_refer_to_files_beside_them(rendered: Render, tmp_path: Path) -> None:
    written = write(rendered(), tmp_path)
    folders = {"dashboards", "secrets"}
    assert {path.name for path in tmp_path.iterdir()} == {CONFIGURATION, *NOTIFICATIONS, *RULES, ACCESS, *folders}
    assert set(written) == {path for path in tmp_path.rglob("*") if path.is_file()}
    # A program that watches it for changes finds the other files already written.
    assert written[-1] == tmp_path / CONFIGURATION


def test_the_same_again_gives_the_same_bytes(rendered: Render, tmp_path: Path) -> None:
    write(rendered(), tmp_path)
    first = content(tmp_path)
    write(rendered(), tmp_path)
    assert content(tmp_path) == first


def test_an_unused_secret_is_removed(rendered: Render, tmp_path: Path) -> None:
    write(rendered(), tmp_path)
    (tmp_path / "secrets" / "of-somebody-else").touch()
    write(rendered(PAGERDUTY_SECURITY_KEY="off"), tmp_path)
    left = {path.name for path in (tmp_path / "secrets").iterdir()}
    assert "PAGERDUTY_SECURITY_KEY" not in left
    assert {"PAGERDUTY_PLATFORM_KEY", "of-somebody-else"} <= left


def test_a_write_that_fails_leaves_the_old_file_whole(
    rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(rendered(), tmp_path)
    before = content(tmp_path)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("trust_ops.site_config.files.os.fchmod", full)
    with pytest.raises(OSError, match="no space left"):
        write(rendered(SMTP_PASSWORD="another"), tmp_path)
    assert content(tmp_path) == before


def test_the_secrets_directory_is_an_absolute_path(required: dict[str, str]) -> None:
    with pytest.raises(RenderError, match="secrets-dir: use the absolute path"):
        render(required, "secrets")


def test_every_template_of_notifications_is_written() -> None:
    folder = Path(__file__).parents[3] / "monitoring" / "alertmanager"
    assert {path.name for path in folder.iterdir()} == {CONFIGURATION, *NOTIFICATIONS}
