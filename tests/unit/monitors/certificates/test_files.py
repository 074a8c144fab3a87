"""Files, globs and folders, and everything that may lie there instead of a certificate."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from tests.unit.monitors.certificates.authority import Authority, der, key_pem, pem, write
from trust_otel.monitors.certificates import files, formats

not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Any:
    return authority.issue()


def names(look: Any) -> list[str]:
    return sorted(look.certificates)


def problem(look: Any) -> str:
    (report,) = look.reports
    return report.problem or ""


def test_a_file_is_named_by_its_stem_or_as_the_setting_says(watch: Any, leaf: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "api.example.com.crt", pem(leaf[0]))
    assert names(watch(file).look()) == ["api.example.com"]
    assert names(watch(f"api={file}").look()) == ["api"]


def test_certificates_that_stand_together_are_numbered(watch: Any, leaf: Any, authority: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "chain.pem", pem(leaf[0], authority.certificate))
    look = watch(file).look()
    assert {name: watched.type for name, watched in look.certificates.items()} == {
        "chain": "tls_server",
        "chain#2": "ca",
    }
    (report,) = look.reports
    assert (report.certificates, report.soonest_not_after) == (2, leaf[0].not_valid_after_utc.timestamp())


def test_a_folder_gives_its_certificates_and_ignores_the_rest(
    watch: Any, leaf: Any, authority: Any, tmp_path: Path
) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "b", der(authority.certificate))
    write(tmp_path / "a.key", key_pem(leaf[1]))
    write(tmp_path / "README", b"text")
    write(tmp_path / "empty.pem")
    write(tmp_path / ".a.pem.new", pem(leaf[0])[:100])
    write(tmp_path / "below" / "c.pem", pem(leaf[0]))
    os.mkfifo(tmp_path / "pipe")
    look = watch(tmp_path).look()
    assert names(look) == ["a", "b"]
    assert problem(look) == ""
    assert names(watch(f"tls={tmp_path}").look()) == ["tls/a", "tls/b"]


def test_a_glob_names_by_the_path_below_its_begin(watch: Any, leaf: Any, authority: Any, tmp_path: Path) -> None:
    write(tmp_path / "live" / "x.test" / "fullchain.pem", pem(leaf[0]))
    write(tmp_path / "live" / "y.test" / "fullchain.pem", pem(authority.certificate))
    write(tmp_path / "live" / "y.test" / "privkey.pem", key_pem(leaf[1]))
    expected = ["x.test/fullchain", "y.test/fullchain"]
    for pattern in ("*/full*.pem", "**/fullchain.pem", "[xy].test/fullchain.pem", "?.test/fullchain.pem"):
        look = watch(tmp_path / "live" / pattern).look()
        assert (names(look), problem(look)) == (expected, "")


def test_two_stars_alone_find_all_files_below(watch: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "below" / "b.pem", pem(leaf[0]))
    assert names(watch(tmp_path / "**").look()) == ["a", "below/b"]


def test_what_a_glob_finds_must_hold_a_certificate(watch: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "b.pem", key_pem(leaf[1]))
    look = watch(tmp_path / "*.pem").look()
    assert names(look) == ["a"]
    assert problem(look) == f"{tmp_path}/b.pem: holds no certificate"


def test_a_path_with_the_signs_of_a_glob_that_exists_is_a_path(watch: Any, leaf: Any, tmp_path: Path) -> None:
    assert names(watch(write(tmp_path / "[a].pem", pem(leaf[0]))).look()) == ["[a]"]


def test_suffixes_stay_where_they_tell_two_files_apart(watch: Any, leaf: Any, authority: Any, tmp_path: Path) -> None:
    write(tmp_path / "tls.crt", pem(leaf[0]))
    write(tmp_path / "tls.pem", pem(authority.certificate))
    assert names(watch(tmp_path).look()) == ["tls.crt", "tls.pem"]


def test_further_links_to_a_file_are_left_out(watch: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "real.pem", pem(leaf[0]))
    (tmp_path / "5ed36f99.0").symlink_to("real.pem")
    os.link(tmp_path / "real.pem", tmp_path / "second.pem")
    assert names(watch(tmp_path).look()) == ["real"]


def test_a_mounted_kubernetes_secret_is_read_once(watch: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "..2026_01_01" / "tls.crt", pem(leaf[0]))
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "tls.crt").symlink_to("..data/tls.crt")
    assert names(watch(tmp_path).look()) == names(watch(tmp_path / "**" / "*.crt").look()) == ["tls"]


def test_links_in_a_circle_end(watch: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    (tmp_path / "loop.pem").symlink_to("loop.pem")
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(".")
    for source in (tmp_path, tmp_path / "**" / "*.pem"):
        look = watch(source).look()
        assert names(look) == ["a"]
        assert "symbolic links" in problem(look)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.write_bytes(b""), "holds no certificate"),
        (lambda path: path.write_bytes(os.urandom(500)), "holds no certificate"),
        (lambda path: path.write_bytes(b"-----BEGIN CERTIFICATE-----\nMII"), "half written"),
        (os.mkfifo, "no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: path.write_bytes(b"x" * (files.MOST_BYTES + 1)), "larger than"),
        (lambda path: path.mkdir(), "no certificate in it"),
        (lambda path: _socket(path), "no regular file"),
    ],
)
def test_a_file_that_gives_nothing_is_a_problem(
    watch: Any, tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(tmp_path / "a.pem")
    look = watch(tmp_path / "a.pem").look()
    assert names(look) == []
    assert reason in problem(look)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


@not_as_root
def test_permission_denied_is_a_problem_except_for_a_key_in_a_folder(watch: Any, leaf: Any, tmp_path: Path) -> None:
    for name in ("a.pem", "b.pem", "privkey.pem", "a.key"):
        write(tmp_path / name, pem(leaf[0]))
        (tmp_path / name).chmod(0 if name != "a.pem" else 0o600)
    assert problem(watch(tmp_path).look()) == f"{tmp_path}/b.pem: Permission denied"
    assert problem(watch(tmp_path / "privkey.pem").look()) == "Permission denied"


def test_what_cannot_be_opened_is_a_problem_only_if_its_name_promises_a_certificate(
    watch: Any, leaf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, most: int = 0) -> bytes:
        if path.endswith("a.pem"):
            return pem(leaf[0])
        raise PermissionError(13, "Permission denied")

    for name in ("a.pem", "b.pem", "privkey.pem", "a.key", "notes"):
        write(tmp_path / name)
    monkeypatch.setattr(files, "read_file", refuse)
    assert problem(watch(tmp_path).look()) == f"{tmp_path}/b.pem: Permission denied"


def test_no_folder_and_no_match(watch: Any, tmp_path: Path) -> None:
    assert "No such file" in problem(watch(tmp_path / "none" / "*.pem").look())
    assert "no certificate in it" in problem(watch(tmp_path / "*.pem").look())
    assert problem(watch(tmp_path / "a**b" / "*.pem").look())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_utf_8_is_shown_with_marks(watch: Any, leaf: Any, tmp_path: Path) -> None:
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pem")), pem(leaf[0]))
    write(tmp_path / "a\nb.pem", pem(leaf[0]))
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/half\xe9.pem")), pem(leaf[0])[:99])
    look = watch(tmp_path).look()
    assert names(look) == ["a\ufffdb", "caf\ufffd"]
    problem(look).encode()


def test_more_files_than_can_be_watched_are_a_problem(
    watch: Any, leaf: Any, authority: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MOST_FILES", 2)
    monkeypatch.setattr(files, "_MOST_CERTIFICATES", 3)
    for name in ("a", "b"):
        write(tmp_path / f"{name}.pem", pem(leaf[0], authority.certificate))
    assert "more than 3 certificates" in problem(watch(tmp_path).look())
    write(tmp_path / "c.pem")
    assert "more than 2 files" in problem(watch(tmp_path).look())


def test_an_unchanged_file_is_not_parsed_again(
    watch: Any, leaf: Any, authority: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []

    def parse(data: bytes, password: Any) -> Any:
        parsed.append(data)
        return formats.parse(data, password)

    monkeypatch.setattr(files, "parse", parse)
    file = write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "notes", b"text")
    watching = watch(tmp_path)
    for _ in range(3):
        watching.look()
    assert len(parsed) == 2
    write(file, pem(authority.certificate))
    assert watching.look().certificates["a"].type == "ca"
    assert len(parsed) == 3


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_password_of_pkcs12_comes_from_its_file(watch: Any, leaf: Any, tmp_path: Path, end: bytes) -> None:
    store = pkcs12.serialize_key_and_certificates(b"x", leaf[1], leaf[0], None, BestAvailableEncryption(b"s e"))
    file = write(tmp_path / "a.p12", store)
    watching = watch(file, password_file=tmp_path / "password")
    assert problem(watching.look()).startswith("TRUST_OTEL_CERTIFICATE_PASSWORD_FILE: No such file")
    write(tmp_path / "password", b"wrong")
    assert "cannot be decrypted" in problem(watching.look())
    write(tmp_path / "password", b"s e", end)
    look = watching.look()
    assert (names(look), problem(look)) == (["a"], "")
