"""What stays, what goes, and what it is called, from one look to the next."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from tests.unit.monitors.certificates.authority import DAY, NOW, Authority, pem, write
from trust_otel.monitors.certificates import watch as watching_module
from trust_otel.monitors.certificates.parallel import SideBySide


def names(look: Any) -> list[str]:
    return sorted(look.certificates)


def problems(look: Any) -> list[str | None]:
    return [report.problem for report in look.reports]


class TestWhatStays:
    def test_a_renewed_certificate_replaces_the_old_one(self, watch: Any, authority: Authority, tmp_path: Path) -> None:
        file = write(tmp_path / "a.pem", pem(authority.issue(days=1)[0]))
        watching = watch(file)
        assert watching.look().certificates["a"].not_after == (NOW + DAY).timestamp()
        replacement = write(tmp_path / "a.new", pem(authority.issue(days=90)[0]))
        replacement.replace(file)
        assert watching.look().certificates["a"].not_after == (NOW + 90 * DAY).timestamp()

    def test_what_has_vanished_from_a_folder_is_forgotten(
        self, watch: Any, authority: Authority, tmp_path: Path
    ) -> None:
        for name in ("a", "b"):
            write(tmp_path / f"{name}.pem", pem(authority.issue()[0]))
        watching = watch(tmp_path)
        watching.look()
        (tmp_path / "a.pem").unlink()
        look = watching.look()
        assert (names(look), problems(look)) == (["b"], [None])
        write(tmp_path / "a.pem", b"-----BEGIN CERTIFICATE-----")
        assert names(watching.look()) == ["b"]

    @pytest.mark.parametrize("length", [0, 1, 40, 300, -100, -1])
    def test_a_file_that_is_half_written_does_not_blink(
        self, watch: Any, authority: Authority, tmp_path: Path, length: int
    ) -> None:
        old, new = (pem(authority.issue()[0], authority.certificate) for _ in range(2))
        file = write(tmp_path / "a.pem", old)
        write(tmp_path / "b.pem", pem(authority.issue()[0]))
        for source in (file, tmp_path, tmp_path / "*.pem"):
            write(file, old)
            watching = watch(source)
            before = watching.look()
            write(file, new[:length])
            look = watching.look()
            if length != -1:  # without the end of the line it is whole
                assert look.certificates == before.certificates
                assert problems(look) != [None]
            write(file, new)
            look = watching.look()
            assert names(look) == names(before)
            assert problems(look) == [None]

    def test_a_named_file_that_is_gone_stays_known_and_is_a_problem(
        self, watch: Any, authority: Authority, tmp_path: Path
    ) -> None:
        data = pem(authority.issue()[0])
        file = write(tmp_path / "a.pem", data)
        watching = watch(file)
        watching.look()
        file.unlink()
        for _ in range(2):
            look = watching.look()
            assert (names(look), problems(look)) == (["a"], ["No such file or directory"])
        write(file, data)
        assert problems(watching.look()) == [None]

    def test_a_folder_that_is_gone_or_empty_stays_known_and_is_a_problem(
        self, watch: Any, authority: Authority, tmp_path: Path
    ) -> None:
        file = write(tmp_path / "tls" / "a.pem", pem(authority.issue()[0]))
        watching = watch(tmp_path / "tls")
        watching.look()
        file.unlink()
        look = watching.look()
        assert (names(look), problems(look)) == (["a"], ["there is no certificate in it"])
        (tmp_path / "tls").rmdir()
        look = watching.look()
        assert (names(look), problems(look)) == (["a"], ["No such file or directory"])

    def test_an_endpoint_that_is_away_stays_known_and_is_a_problem(
        self, watch: Any, authority: Authority, tls_server: Any
    ) -> None:
        server = tls_server(*authority.issue())
        watching = watch(f"front=tls://127.0.0.1:{server.port}")
        watching.look()
        server.close()
        look = watching.look()
        assert names(look) == ["front"]
        assert problems(look) != [None]


class TestNames:
    def test_sources_of_one_name_do_not_overwrite_each_other(
        self, watch: Any, authority: Authority, tmp_path: Path
    ) -> None:
        files = [write(tmp_path / folder / "tls.crt", pem(authority.issue()[0])) for folder in ("x", "y")]
        for sources in (files, [file.parent for file in files]):
            look = watch(*sources).look()
            assert names(look) == ["tls", "tls#2"]
        look = watch(*(f"same={file}" for file in files)).look()
        assert names(look) == ["same", "same#2"]
        assert [report.name for report in look.reports] == ["same", "same#2"]

    def test_a_source_that_stands_twice_is_read_once(self, watch: Any, authority: Authority, tmp_path: Path) -> None:
        file = write(tmp_path / "a.pem", pem(authority.issue()[0]))
        assert names(watch(file, file).look()) == ["a"]

    def test_a_name_keeps_the_end_of_a_long_path(self, watch: Any, authority: Authority, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write(tmp_path / ("d" * 200) / f"{name}.pem", pem(authority.issue()[0], authority.certificate))
        look = watch(tmp_path / "*" / "*.pem", length=20).look()
        assert {len(name) for name in look.certificates} == {20}
        assert sorted(name[-4:] for name in look.certificates) == sorted(["dd/a", "/a#2", "dd/b", "/b#2"])

    def test_a_file_whose_name_has_blanks_has_a_series(
        self, watch: Any, authority: Authority, tmp_path: Path, recording: Any
    ) -> None:
        (name,) = watch(write(tmp_path / "Global Root  G2.pem", pem(authority.certificate))).look().certificates
        recording.metrics.set_certificate(name, not_after=NOW.timestamp())
        assert recording.labels("trust.certificate.not_after") == [{"trust.certificate.name": "Global_Root_G2"}]


class TestSideBySide:
    def test_what_hangs_is_left_behind_and_not_begun_again(self) -> None:
        ended, begun = threading.Event(), []

        def hang() -> str:
            begun.append(threading.current_thread())
            ended.wait(10)
            return "late"

        runner = SideBySide()
        assert runner.run({"hangs": hang, "works": lambda: "done"}, 0.05) == {"works": "done"}
        assert runner.run({"hangs": hang, "works": lambda: "done"}, 0.05) == {"works": "done"}
        assert len(begun) == 1
        ended.set()
        begun[0].join(5)
        assert runner.run({"hangs": hang}, 5) == {"hangs": "late"}

    def test_more_tasks_than_threads_are_all_done(self) -> None:
        tasks = {str(number): lambda number=number: number for number in range(100)}
        assert SideBySide().run(tasks, 10) == {str(number): number for number in range(100)}

    def test_what_is_asked_for_is_no_request_of_the_service(self) -> None:
        assert SideBySide().run({"a": is_instrumentation_enabled}, 5) == {"a": False}
        assert is_instrumentation_enabled()


def test_a_source_that_hangs_is_a_problem(
    watch: Any, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "_PATIENCE", 0.05)
    hanging, ended = write(tmp_path / "a.pem", pem(authority.issue()[0])), threading.Event()
    watching = watch(hanging, write(tmp_path / "b.pem", pem(authority.issue()[0])))
    watching.look()
    source = watching._entries[0].source
    monkeypatch.setattr(source, "read", lambda: ended.wait(10) and [])
    look = watching.look()
    ended.set()
    assert names(look) == ["a", "b"]
    assert [bool(problem) for problem in problems(look)] == [True, False]
    for thread in threading.enumerate():
        if thread.name == "trust-otel-certificate-reader":
            thread.join(5)


def test_an_unforeseen_fault_of_one_source_is_a_problem_without_its_text(
    watch: Any, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = watch(tmp_path, write(tmp_path / "b.pem", pem(authority.issue()[0])))

    def fail() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(watching._entries[0].source, "read", fail)
    look = watching.look()
    assert problems(look) == ["could not be read (RuntimeError)", None]


def test_many_problems_are_summed_up(watch: Any, tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}.pem")
    (problem,) = problems(watch(tmp_path / "*.pem").look())
    assert problem is not None
    assert problem.endswith("; and 2 more")
