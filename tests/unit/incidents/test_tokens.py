"""Token files."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from trust_ops.incidents.tokens import TokenFile, TokenFileError

OLD, NEW = "old-token-of-the-alertmanager", "new-token-of-the-alertmanager"


def test_only_the_whole_token_holds(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{OLD}\n")
    tokens = TokenFile(file)
    assert tokens.holds(OLD)
    assert not any(map(tokens.holds, ("", OLD[:-1], f"{OLD}x", OLD.upper(), "\ud800")))


def test_a_token_is_replaced_without_a_gap(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(OLD)
    tokens = TokenFile(file)
    file.write_text(f"{OLD}\n{NEW}\n")
    assert (tokens.holds(OLD), tokens.holds(NEW)) == (True, True)
    file.write_text(NEW)
    assert (tokens.holds(OLD), tokens.holds(NEW)) == (False, True)


def test_a_file_that_went_bad_leaves_the_tokens_in_force(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "token"
    file.write_text(OLD)
    tokens = TokenFile(file)
    file.write_text("short-secret")
    with caplog.at_level(logging.ERROR):
        assert tokens.holds(OLD)
        assert not tokens.holds("short-secret")
    file.unlink()
    assert tokens.holds(OLD)
    assert "the tokens read before stay in force" in caplog.text
    assert "short-secret" not in caplog.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no token"),
        (b" \n\n", "holds no token"),
        (b"fifteen-letters", "a token of fewer than 16 characters"),
        (b"\xff" * 20, "cannot be read (UnicodeDecodeError)"),
        (None, "cannot be read (FileNotFoundError)"),
    ],
)
def test_a_file_without_a_usable_token_is_refused_with_the_remedy(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TokenFileError) as refused:
        TokenFile(file)
    assert said in str(refused.value)
    assert "openssl rand -hex 32" in str(refused.value)
    assert "fifteen" not in str(refused.value)


def test_a_file_that_every_user_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "token").write_text("0123456789abcdef")
    (tmp_path / "token").chmod(0o600)
    TokenFile(tmp_path / "token")
    assert caplog.text == ""
    (tmp_path / "token").chmod(0o644)
    TokenFile(tmp_path / "token")
    assert "can read the tokens in" in caplog.text
    assert "0123456789abcdef" not in caplog.text
