"""Files, globs and folders, with and without certificates."""

from __future__ import annotations

import os
import re
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


def names(snapshot: Any) -> list[str]:
    return sorted(snapshot.certificates)


def problem(snapshot: Any) -> str:
    (report,) = snapshot.reports
    return report.problem or ""


def test_name_of_a_file(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "api.example.com.crt", pem(leaf[0]))
    assert names(make_watcher(file).poll()) == ["api.example.com"]
    assert names(make_watcher(f"api={file}").poll()) == ["api"]


def test_certificates_in_one_file_are_numbered(make_watcher: Any, leaf: Any, authority: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "chain.pem", pem(leaf[0], authority.certificate))
    snapshot = make_watcher(file).poll()
    assert {name: watched.type for name, watched in snapshot.certificates.items()} == {
        "chain": "tls_server",
        "chain#2": "ca",
    }
    (report,) = snapshot.reports
    assert (report.certificates, report.soonest_not_after) == (2, leaf[0].not_valid_after_utc.timestamp())


def test_folder_ignores_other_files(make_watcher: Any, leaf: Any, authority: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "b", der(authority.certificate))
    write(tmp_path / "a.key", key_pem(leaf[1]))
    write(tmp_path / "README", b"text")
    write(tmp_path / "empty")
    write(tmp_path / ".a.pem.new", pem(leaf[0])[:100])
    write(tmp_path / "below" / "c.pem", pem(leaf[0]))
    os.mkfifo(tmp_path / "pipe")
    snapshot = make_watcher(tmp_path).poll()
    assert names(snapshot) == ["a", "b"]
    assert problem(snapshot) == ""
    assert names(make_watcher(f"tls={tmp_path}").poll()) == ["tls/a", "tls/b"]


def test_ignored_files_of_a_folder_are_named(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "a.key", key_pem(leaf[1]))
    write(tmp_path / "privkey.pem", key_pem(leaf[1]))
    write(tmp_path / "README", b"text")
    os.mkfifo(tmp_path / "pipe")
    (report,) = make_watcher(tmp_path).poll().reports
    assert report.problem is None
    assert report.ignored == (
        f"{tmp_path}/README: no certificate",
        f"{tmp_path}/a.key: a private key",
        f"{tmp_path}/pipe: not a regular file",
        f"{tmp_path}/privkey.pem: a private key",
    )


def test_files_that_cannot_be_read_do_not_affect_others(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    for name in ("huge.pem", "huge.bin"):
        os.truncate(write(tmp_path / name), files.MAX_BYTES + 1)
    for name in ("gone.pem", "gone"):
        (tmp_path / name).symlink_to("missing")
    write(tmp_path / "store.jks", b"\xfe\xed\xfe\xed\0\0\0\2")
    (report,) = make_watcher(tmp_path).poll().reports
    assert report.certificates == 1
    assert report.problem is not None
    assert re.fullmatch(
        ".*/huge.pem: is larger than .*; .*/store.jks: is a JKS key store.*; .*/gone.pem: No such file.*",
        report.problem,
    )
    assert [Path(entry.partition(":")[0]).name for entry in report.ignored] == ["huge.bin", "gone"]


@pytest.mark.parametrize("data", [b"", b"\n", b"----BEGIN CERTIFICATE----", b"\x01\x02", b"text"])
def test_unknown_content_with_a_certificate_suffix_is_a_problem(
    make_watcher: Any, leaf: Any, tmp_path: Path, data: bytes
) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "b.crt", data)
    snapshot = make_watcher(tmp_path).poll()
    assert (names(snapshot), problem(snapshot)) == (["a"], f"{tmp_path}/b.crt: contains no certificate")


def test_names_in_a_glob_are_relative_paths(make_watcher: Any, leaf: Any, authority: Any, tmp_path: Path) -> None:
    write(tmp_path / "live" / "x.test" / "fullchain.pem", pem(leaf[0]))
    write(tmp_path / "live" / "y.test" / "fullchain.pem", pem(authority.certificate))
    write(tmp_path / "live" / "y.test" / "privkey.pem", key_pem(leaf[1]))
    expected = ["x.test/fullchain", "y.test/fullchain"]
    for pattern in ("*/full*.pem", "**/fullchain.pem", "[xy].test/fullchain.pem", "?.test/fullchain.pem"):
        snapshot = make_watcher(tmp_path / "live" / pattern).poll()
        assert (names(snapshot), problem(snapshot)) == (expected, "")


def test_double_star_matches_all_files(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "below" / "b.pem", pem(leaf[0]))
    assert names(make_watcher(tmp_path / "**").poll()) == ["a", "below/b"]


def test_matches_of_a_glob_must_contain_a_certificate(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "b.pem", key_pem(leaf[1]))
    snapshot = make_watcher(tmp_path / "*.pem").poll()
    assert names(snapshot) == ["a"]
    assert problem(snapshot) == f"{tmp_path}/b.pem: contains no certificate, but a private key"


def test_existing_path_with_glob_characters(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    assert names(make_watcher(write(tmp_path / "[a].pem", pem(leaf[0]))).poll()) == ["[a]"]


def test_suffixes_are_kept_to_distinguish_files(make_watcher: Any, leaf: Any, authority: Any, tmp_path: Path) -> None:
    write(tmp_path / "tls.crt", pem(leaf[0]))
    write(tmp_path / "tls.pem", pem(authority.certificate))
    assert names(make_watcher(tmp_path).poll()) == ["tls.crt", "tls.pem"]


def test_links_to_a_file_are_skipped(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "real.pem", pem(leaf[0]))
    (tmp_path / "5ed36f99.0").symlink_to("real.pem")
    os.link(tmp_path / "real.pem", tmp_path / "second.pem")
    assert names(make_watcher(tmp_path).poll()) == ["real"]


def test_mounted_kubernetes_secret_is_read_once(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "..2026_01_01" / "tls.crt", pem(leaf[0]))
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "tls.crt").symlink_to("..data/tls.crt")
    assert names(make_watcher(tmp_path).poll()) == names(make_watcher(tmp_path / "**" / "*.crt").poll()) == ["tls"]


def test_symbolic_link_loop(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.pem", pem(leaf[0]))
    (tmp_path / "loop.pem").symlink_to("loop.pem")
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(".")
    for source in (tmp_path, tmp_path / "**" / "*.pem"):
        snapshot = make_watcher(source).poll()
        assert names(snapshot) == ["a"]
        assert "symbolic links" in problem(snapshot)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.write_bytes(b""), "contains no certificate"),
        (lambda path: path.write_bytes(os.urandom(500)), "contains no certificate"),
        (lambda path: path.write_bytes(b"-----BEGIN CERTIFICATE-----\nMII"), "half written"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: path.write_bytes(b"x" * (files.MAX_BYTES + 1)), "larger than"),
        (lambda path: path.mkdir(), "contains no certificate"),
        (lambda path: _socket(path), "not a regular file"),
    ],
)
def test_file_without_certificates_is_a_problem(
    make_watcher: Any, tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(tmp_path / "a.pem")
    snapshot = make_watcher(tmp_path / "a.pem").poll()
    assert names(snapshot) == []
    assert reason in problem(snapshot)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


@not_as_root
def test_permission_denied_is_a_problem_except_for_keys_in_a_folder(
    make_watcher: Any, leaf: Any, tmp_path: Path
) -> None:
    for name in ("a.pem", "b.pem", "privkey.pem", "a.key"):
        write(tmp_path / name, pem(leaf[0]))
        (tmp_path / name).chmod(0 if name != "a.pem" else 0o600)
    assert problem(make_watcher(tmp_path).poll()) == f"{tmp_path}/b.pem: Permission denied"
    assert problem(make_watcher(tmp_path / "privkey.pem").poll()) == "Permission denied"


def test_unreadable_file_is_a_problem_if_it_has_a_certificate_suffix(
    make_watcher: Any, leaf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, max_bytes: int = 0) -> bytes:
        if path.endswith("a.pem"):
            return pem(leaf[0])
        raise PermissionError(13, "Permission denied")

    for name in ("a.pem", "b.pem", "privkey.pem", "a.key", "notes"):
        write(tmp_path / name)
    monkeypatch.setattr(files, "read_file", refuse)
    (report,) = make_watcher(tmp_path).poll().reports
    assert report.problem == f"{tmp_path}/b.pem: Permission denied"
    assert report.ignored == tuple(
        f"{tmp_path}/{name}: Permission denied" for name in ("a.key", "notes", "privkey.pem")
    )


def test_missing_folder_and_no_match(make_watcher: Any, tmp_path: Path) -> None:
    assert "No such file" in problem(make_watcher(tmp_path / "none" / "*.pem").poll())
    assert "contains no certificate" in problem(make_watcher(tmp_path / "*.pem").poll())
    assert problem(make_watcher(tmp_path / "a**b" / "*.pem").poll())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_file_name_that_is_not_utf_8(make_watcher: Any, leaf: Any, tmp_path: Path) -> None:
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pem")), pem(leaf[0]))
    write(tmp_path / "a\nb.pem", pem(leaf[0]))
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/half\xe9.pem")), pem(leaf[0])[:99])
    snapshot = make_watcher(tmp_path).poll()
    assert names(snapshot) == ["a\ufffdb", "caf\ufffd"]
    problem(snapshot).encode()


def test_too_many_files_are_a_problem(
    make_watcher: Any, leaf: Any, authority: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MAX_FILES", 2)
    monkeypatch.setattr(files, "_MAX_CERTIFICATES", 3)
    for name in ("a", "b"):
        write(tmp_path / f"{name}.pem", pem(leaf[0], authority.certificate))
    assert "more than 3 certificates" in problem(make_watcher(tmp_path).poll())
    write(tmp_path / "c.pem")
    assert "more than 2 files" in problem(make_watcher(tmp_path).poll())


def test_unchanged_file_is_not_parsed_again(
    make_watcher: Any, leaf: Any, authority: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []

    def parse(data: bytes, password: Any) -> Any:
        parsed.append(data)
        return formats.parse(data, password)

    monkeypatch.setattr(files, "parse", parse)
    file = write(tmp_path / "a.pem", pem(leaf[0]))
    write(tmp_path / "notes", b"text")
    watcher = make_watcher(tmp_path)
    for _ in range(3):
        watcher.poll()
    assert len(parsed) == 2
    write(file, pem(authority.certificate))
    assert watcher.poll().certificates["a"].type == "ca"
    assert len(parsed) == 3


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_password_file_of_pkcs12(make_watcher: Any, leaf: Any, tmp_path: Path, end: bytes) -> None:
    store = pkcs12.serialize_key_and_certificates(b"x", leaf[1], leaf[0], None, BestAvailableEncryption(b"s e"))
    file = write(tmp_path / "a.p12", store)
    watcher = make_watcher(file, password_file=tmp_path / "password")
    assert problem(watcher.poll()).startswith("TRUST_OTEL_CERTIFICATE_PASSWORD_FILE: No such file")
    write(tmp_path / "password", b"wrong")
    assert "cannot be decrypted" in problem(watcher.poll())
    write(tmp_path / "password", b"s e", end)
    snapshot = watcher.poll()
    assert (names(snapshot), problem(snapshot)) == (["a"], "")
