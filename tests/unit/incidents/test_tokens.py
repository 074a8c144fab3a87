"""Token files."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from trust_ops.incidents.tokens import TokenFile, TokenFileError

OLD, NEW = "old-token-of-the-alertmanager", "new-token-of-the-alertmanager"


def test_only_a_complete_token_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{OLD}\n")
    tokens = TokenFile(file)
    assert tokens.contains(OLD)
    assert not any(map(tokens.contains, ("", OLD[:-1], f"{OLD}x", OLD.upper(), "\ud800")))


def test_tokens_rotate_without_a_gap(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(OLD)
    tokens = TokenFile(file)
    file.write_text(f"{OLD}\n{NEW}\n")
    assert (tokens.contains(OLD), tokens.contains(NEW)) == (True, True)
    file.write_text(NEW)
    assert (tokens.contains(OLD), tokens.contains(NEW)) == (False, True)


def test_an_unreadable_file_keeps_the_previous_tokens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "token"
    file.write_text(OLD)
    tokens = TokenFile(file)
    file.write_text("short-secret")
    with caplog.at_level(logging.ERROR):
        assert tokens.contains(OLD)
        assert not tokens.contains("short-secret")
    file.unlink()
    assert tokens.contains(OLD)
    assert tokens.contains(OLD)
    assert caplog.text.count("the previous tokens stay valid") == 2  # once per problem
    assert "short-secret" not in caplog.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "contains no token"),
        (b" \n\n", "contains no token"),
        (b"fifteen-letters", "a token of fewer than 16 characters"),
        (b"\xff" * 20, "cannot be read (UnicodeDecodeError)"),
        (None, "cannot be read (FileNotFoundError)"),
    ],
)
def test_a_file_without_a_valid_token_is_rejected_with_a_fix(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TokenFileError) as refused:
        TokenFile(file)
    assert said in str(refused.value)
    assert "openssl rand -hex 32" in str(refused.value)
    assert "fifteen" not in str(refused.value)


def test_a_world_readable_file_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "token").write_text("0123456789abcdef")
    (tmp_path / "token").chmod(0o600)
    TokenFile(tmp_path / "token")
    assert caplog.text == ""
    (tmp_path / "token").chmod(0o644)
    TokenFile(tmp_path / "token")
    assert "are readable by every user" in caplog.text
    assert "0123456789abcdef" not in caplog.text
