"""CertificateWatcher: which certificates are kept between polls, and their names."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from tests.unit.monitors.certificates.authority import DAY, NOW, Authority, pem, write
from trust_otel.monitors.certificates import watcher as watcher_module
from trust_otel.monitors.certificates.parallel import ParallelRunner


def names(snapshot: Any) -> list[str]:
    return sorted(snapshot.certificates)


def problems(snapshot: Any) -> list[str | None]:
    return [report.problem for report in snapshot.reports]


class TestPolling:
    def test_renewed_certificate(self, make_watcher: Any, authority: Authority, tmp_path: Path) -> None:
        file = write(tmp_path / "a.pem", pem(authority.issue(days=1)[0]))
        watcher = make_watcher(file)
        assert watcher.poll().certificates["a"].not_after == (NOW + DAY).timestamp()
        replacement = write(tmp_path / "a.new", pem(authority.issue(days=90)[0]))
        replacement.replace(file)
        assert watcher.poll().certificates["a"].not_after == (NOW + 90 * DAY).timestamp()

    def test_certificate_removed_from_a_folder(self, make_watcher: Any, authority: Authority, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write(tmp_path / f"{name}.pem", pem(authority.issue()[0]))
        watcher = make_watcher(tmp_path)
        watcher.poll()
        (tmp_path / "a.pem").unlink()
        snapshot = watcher.poll()
        assert (names(snapshot), problems(snapshot)) == (["b"], [None])
        write(tmp_path / "a.pem", b"-----BEGIN CERTIFICATE-----")
        assert names(watcher.poll()) == ["b"]

    @pytest.mark.parametrize("length", [0, 1, 40, 300, -100, -1])
    def test_half_written_file_keeps_its_certificates(
        self, make_watcher: Any, authority: Authority, tmp_path: Path, length: int
    ) -> None:
        old, new = (pem(authority.issue()[0], authority.certificate) for _ in range(2))
        file = write(tmp_path / "a.pem", old)
        write(tmp_path / "b.pem", pem(authority.issue()[0]))
        for source in (file, tmp_path, tmp_path / "*.pem"):
            write(file, old)
            watcher = make_watcher(source)
            before = watcher.poll()
            write(file, new[:length])
            snapshot = watcher.poll()
            if length != -1:  # only the final newline is missing
                assert snapshot.certificates == before.certificates
                assert problems(snapshot) != [None]
            write(file, new)
            snapshot = watcher.poll()
            assert names(snapshot) == names(before)
            assert problems(snapshot) == [None]

    def test_missing_file_is_a_problem_and_keeps_its_certificates(
        self, make_watcher: Any, authority: Authority, tmp_path: Path
    ) -> None:
        data = pem(authority.issue()[0])
        file = write(tmp_path / "a.pem", data)
        watcher = make_watcher(file)
        watcher.poll()
        file.unlink()
        for _ in range(2):
            snapshot = watcher.poll()
            assert (names(snapshot), problems(snapshot)) == (["a"], ["No such file or directory"])
        write(file, data)
        assert problems(watcher.poll()) == [None]

    def test_missing_or_empty_folder_is_a_problem_and_keeps_its_certificates(
        self, make_watcher: Any, authority: Authority, tmp_path: Path
    ) -> None:
        file = write(tmp_path / "tls" / "a.pem", pem(authority.issue()[0]))
        watcher = make_watcher(tmp_path / "tls")
        watcher.poll()
        file.unlink()
        snapshot = watcher.poll()
        assert (names(snapshot), problems(snapshot)) == (["a"], ["contains no certificate"])
        (tmp_path / "tls").rmdir()
        snapshot = watcher.poll()
        assert (names(snapshot), problems(snapshot)) == (["a"], ["No such file or directory"])

    def test_unreachable_endpoint_is_a_problem_and_keeps_its_certificate(
        self, make_watcher: Any, authority: Authority, tls_server: Any
    ) -> None:
        server = tls_server(*authority.issue())
        watcher = make_watcher(f"front=tls://127.0.0.1:{server.port}")
        watcher.poll()
        server.close()
        snapshot = watcher.poll()
        assert names(snapshot) == ["front"]
        assert problems(snapshot) != [None]


class TestNames:
    def test_sources_with_equal_names(self, make_watcher: Any, authority: Authority, tmp_path: Path) -> None:
        files = [write(tmp_path / folder / "tls.crt", pem(authority.issue()[0])) for folder in ("x", "y")]
        for sources in (files, [file.parent for file in files]):
            snapshot = make_watcher(*sources).poll()
            assert names(snapshot) == ["tls", "tls#2"]
        snapshot = make_watcher(*(f"same={file}" for file in files)).poll()
        assert names(snapshot) == ["same", "same#2"]
        assert [report.name for report in snapshot.reports] == ["same", "same#2"]

    def test_duplicate_source_is_read_once(self, make_watcher: Any, authority: Authority, tmp_path: Path) -> None:
        file = write(tmp_path / "a.pem", pem(authority.issue()[0]))
        assert names(make_watcher(file, file).poll()) == ["a"]

    def test_long_path_is_cut_at_the_start(self, make_watcher: Any, authority: Authority, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write(tmp_path / ("d" * 200) / f"{name}.pem", pem(authority.issue()[0], authority.certificate))
        snapshot = make_watcher(tmp_path / "*" / "*.pem", length=20).poll()
        assert {len(name) for name in snapshot.certificates} == {20}
        assert sorted(name[-4:] for name in snapshot.certificates) == sorted(["dd/a", "/a#2", "dd/b", "/b#2"])

    def test_spaces_in_a_file_name(
        self, make_watcher: Any, authority: Authority, tmp_path: Path, recording: Any
    ) -> None:
        (name,) = make_watcher(write(tmp_path / "Global Root  G2.pem", pem(authority.certificate))).poll().certificates
        recording.metrics.set_certificate(name, not_after=NOW.timestamp())
        assert recording.labels("trust.certificate.not_after") == [{"trust.certificate.name": "Global_Root_G2"}]


class TestParallelRunner:
    def test_hanging_task_is_not_started_again(self) -> None:
        ended, begun = threading.Event(), []

        def hang() -> str:
            begun.append(threading.current_thread())
            ended.wait(10)
            return "late"

        runner = ParallelRunner()
        assert runner.run({"hangs": hang, "works": lambda: "done"}, 0.05) == {"works": "done"}
        assert runner.run({"hangs": hang, "works": lambda: "done"}, 0.05) == {"works": "done"}
        assert len(begun) == 1
        ended.set()
        begun[0].join(5)
        assert runner.run({"hangs": hang}, 5) == {"hangs": "late"}

    def test_more_tasks_than_threads(self) -> None:
        tasks = {str(number): lambda number=number: number for number in range(100)}
        assert ParallelRunner().run(tasks, 10) == {str(number): number for number in range(100)}

    def test_requests_are_not_instrumented(self) -> None:
        assert ParallelRunner().run({"a": is_instrumentation_enabled}, 5) == {"a": False}
        assert is_instrumentation_enabled()


def test_hanging_source_is_a_problem(
    make_watcher: Any, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "_TIMEOUT", 0.05)
    hanging, ended = write(tmp_path / "a.pem", pem(authority.issue()[0])), threading.Event()
    watcher = make_watcher(hanging, write(tmp_path / "b.pem", pem(authority.issue()[0])))
    watcher.poll()
    source = watcher._sources[0].source
    monkeypatch.setattr(source, "read", lambda: ended.wait(10) and [])
    snapshot = watcher.poll()
    ended.set()
    assert names(snapshot) == ["a", "b"]
    assert [bool(problem) for problem in problems(snapshot)] == [True, False]
    for thread in threading.enumerate():
        if thread.name == "trust-otel-certificate-reader":
            thread.join(5)


def test_unexpected_exception_is_a_problem_without_its_message(
    make_watcher: Any, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = make_watcher(tmp_path, write(tmp_path / "b.pem", pem(authority.issue()[0])))

    def fail() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(watcher._sources[0].source, "read", fail)
    snapshot = watcher.poll()
    assert problems(snapshot) == ["could not be read (RuntimeError)", None]


def test_many_problems_are_summarized(make_watcher: Any, tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}.pem")
    (problem,) = problems(make_watcher(tmp_path / "*.pem").poll())
    assert problem is not None
    assert problem.endswith("; and 2 more")
