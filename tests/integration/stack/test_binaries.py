import multiprocessing
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.stack.conftest import script
from trust_ops.stack.binaries import compatible, find
from trust_ops.stack.building import cache_folder, cached
from trust_ops.stack.errors import BinaryUnavailable, BuildError
from trust_ops.stack.recipes import APT, Binary, Recipe, Step, binaries
from trust_otel.settings import unknown_names

# Writes one line per build, and an executable to the path that recipes must write to.
_GO = """\
    #!/bin/sh
    echo built >> "{builds}"
    sleep 0.3
    mkdir -p bin && echo '#!/bin/sh' > bin/thing && chmod +x bin/thing
    """


@pytest.fixture
def thing() -> Binary:
    return Binary("thing", "The Thing", "3.12.0", ("thing",), Recipe("thing", (Step("compiling", ("go", "build")),)))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Nothing on PATH but the shell's tools, and an empty cache."""
    return {"PATH": f"{tmp_path / 'path'}:/bin:/usr/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}


def silent(_: str) -> None:
    pass


def on_path(tmp_path: Path, version: str) -> Path:
    return script(tmp_path / "path" / "thing", f"#!/bin/sh\necho 'thing, version {version} (branch: x)'\n")


def with_go(tmp_path: Path) -> Path:
    """A `go` that builds the thing; returns the file with a line per build."""
    builds = tmp_path / "builds"
    script(tmp_path / "path" / "go", _GO.replace("{builds}", str(builds)))
    return builds


def test_the_explicit_setting_takes_precedence(tmp_path: Path, thing: Binary, environ: dict[str, str]) -> None:
    on_path(tmp_path, "3.12.0")
    mine = script(tmp_path / "mine", "#!/bin/sh\n")
    assert find(thing, environ | {"TRUST_OTEL_THING_BINARY": str(mine)}, silent) == mine


def test_an_explicit_setting_without_an_executable_is_an_error(
    tmp_path: Path, thing: Binary, environ: dict[str, str]
) -> None:
    on_path(tmp_path, "3.12.0")
    with pytest.raises(BinaryUnavailable, match=r"TRUST_OTEL_THING_BINARY is set to /no/thing, which is not an exec"):
        find(thing, environ | {"TRUST_OTEL_THING_BINARY": "/no/thing"}, silent)


def test_path_comes_before_the_cache(tmp_path: Path, thing: Binary, environ: dict[str, str]) -> None:
    installed = on_path(tmp_path, "3.12.4")
    script(cached(thing, cache_folder(environ)), "#!/bin/sh\n")
    assert find(thing, environ, silent) == installed


def test_an_incompatible_version_on_path_is_ignored_and_reported(
    tmp_path: Path, thing: Binary, environ: dict[str, str]
) -> None:
    installed = on_path(tmp_path, "2.42.0")
    ready = script(cached(thing, cache_folder(environ)), "#!/bin/sh\n")
    lines: list[str] = []
    assert find(thing, environ, lines.append) == ready
    assert lines == [f"The Thing: ignoring {installed}, version 2.42.0 instead of 3.12.0"]


def test_a_later_version_is_ignored_where_an_exact_one_is_needed(
    tmp_path: Path, thing: Binary, environ: dict[str, str]
) -> None:
    exact = replace(thing, exact=True)
    ready = script(cached(exact, cache_folder(environ)), "#!/bin/sh\n")
    on_path(tmp_path, "3.12.1")
    assert find(exact, environ, silent) == ready
    installed = on_path(tmp_path, "3.12.0+ds")
    assert find(exact, environ, silent) == installed


def test_the_two_promtools_are_distinguished(tmp_path: Path, environ: dict[str, str]) -> None:
    every = binaries()
    for new, old in (("promtool", "promtool_2_42"), ("promtool_2_42", "promtool")):
        installed = script(
            tmp_path / "path" / "promtool", f"#!/bin/sh\necho 'promtool, version {every[new].version}'\n"
        )
        ready = script(cached(every[old], cache_folder(environ)), "#!/bin/sh\n")
        assert find(every[new], environ, silent) == installed
        assert find(every[old], environ, silent) == ready


@pytest.mark.parametrize(
    "output",
    ["thing, version 3.12.0 (branch: x)", "version v3.12.0", 'msg="Redis Metrics Exporter 3.12.0-2+b4  build date'],
)
def test_versions_are_parsed_from_all_components(
    tmp_path: Path, thing: Binary, environ: dict[str, str], output: str
) -> None:
    installed = script(tmp_path / "path" / "thing", f"#!/bin/sh\necho '{output}'\n")
    assert find(thing, environ, silent) == installed


@pytest.mark.parametrize(
    ("found", "pinned", "expected"),
    [
        ((3, 12, 0), (3, 12, 0), True),
        ((3, 14, 1), (3, 12, 0), True),
        ((3, 11, 9), (3, 12, 0), False),
        ((4, 0, 0), (3, 12, 0), False),
        ((0, 155, 3), (0, 155, 0), True),
        ((0, 156, 0), (0, 155, 0), False),
    ],
)
def test_compatible_versions(found: tuple[int, int, int], pinned: tuple[int, int, int], expected: bool) -> None:
    assert compatible(found, pinned) is expected


def test_a_missing_executable_is_built_once(tmp_path: Path, thing: Binary, environ: dict[str, str]) -> None:
    builds = with_go(tmp_path)
    lines: list[str] = []
    first = find(thing, environ, lines.append)
    assert first == cached(thing, tmp_path / "cache" / "trust-otel")
    assert find(thing, environ, silent) == first
    assert builds.read_text() == "built\n"
    assert lines[0] == "The Thing 3.12.0: compiling"
    assert lines[-1].startswith("The Thing 3.12.0: built in ")
    assert list((tmp_path / "cache" / "trust-otel" / "build").iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_built_executables_are_not_writable_by_others(
    tmp_path: Path, thing: Binary, environ: dict[str, str], umask: int
) -> None:
    builds = with_go(tmp_path)
    cache = tmp_path / "cache" / "trust-otel"
    # As an earlier release created it.
    (cache / "bin").mkdir(parents=True)
    (cache / "bin").chmod(0o777)
    before = os.umask(umask)
    try:
        built = find(thing, environ, silent)
    finally:
        os.umask(before)
    found = [cache, *cache.rglob("*")]
    assert [each for each in found if stat.S_IMODE(each.stat().st_mode) & 0o022] == []
    # An executable that other users can write to is built again.
    built.chmod(0o777)
    assert find(thing, environ, silent) == built
    assert stat.S_IMODE(built.stat().st_mode) & 0o022 == 0
    assert builds.read_text() == "built\n" * 2


def test_concurrent_builds_of_one_executable_run_once(tmp_path: Path, thing: Binary, environ: dict[str, str]) -> None:
    builds = with_go(tmp_path)
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=find, args=(thing, environ, silent)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert builds.read_text() == "built\n"


def test_a_failed_build_shows_the_end_of_its_log_and_fixes(
    tmp_path: Path, thing: Binary, environ: dict[str, str]
) -> None:
    script(tmp_path / "path" / "go", "#!/bin/sh\nseq 1 100\necho 'go: no such module' >&2\nexit 1\n")
    with pytest.raises(BuildError) as caught:
        find(thing, environ, silent)
    text = str(caught.value)
    assert "The Thing 3.12.0 could not be built: compiling ended with exit status 1." in text
    assert "    100\n    go: no such module\n" in text
    assert "    85\n" not in text
    assert f"Full log: {tmp_path}/cache/trust-otel/logs/thing.log" in text
    assert "set TRUST_OTEL_THING_BINARY to the path of thing 3.12.0" in text
    assert not cached(thing, cache_folder(environ)).exists()


def test_without_go_the_error_names_the_component_and_fixes(tmp_path: Path, thing: Binary) -> None:
    nothing = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with pytest.raises(BinaryUnavailable) as caught:
        find(thing, nothing, silent)
    assert str(caught.value) == (
        "The Thing 3.12.0 was not found, and Go is not installed to build it.\n"
        "Either install Go 1.25 or later (https://go.dev/dl) and try again,\n"
        "or set TRUST_OTEL_THING_BINARY to the path of thing 3.12.0,\n"
        "or run the stack with Docker (monitoring/compose)."
    )


def test_without_apt_the_error_names_the_debian_release(tmp_path: Path, thing: Binary) -> None:
    nothing = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with pytest.raises(BinaryUnavailable) as caught:
        find(replace(thing, recipe=replace(thing.recipe, tool=APT)), nothing, silent)
    assert str(caught.value) == (
        "The Thing 3.12.0 was not found, and apt-get is not installed to fetch it.\n"
        "Either run this on Debian 12, which has the package,\n"
        "or set TRUST_OTEL_THING_BINARY to the path of thing 3.12.0,\n"
        "or run the stack with Docker (monitoring/compose)."
    )


def test_a_package_is_downloaded_and_unpacked(tmp_path: Path, environ: dict[str, str]) -> None:
    # Fakes of two Debian programs; the real ones are used by `trust-otel stack build`.
    script(
        tmp_path / "path" / "apt-get",
        """\
        #!/bin/sh
        echo "$@" >> "{arguments}"
        for last; do :; done
        case "$last" in update) mkdir apt ;; *) ls -d apt && touch it.deb ;; esac
        """.replace("{arguments}", str(tmp_path / "arguments")),
    )
    script(
        tmp_path / "path" / "dpkg-deb",
        "#!/bin/sh\nmkdir -p $3/usr/bin && cp $2 $3/usr/bin/prometheus-redis-exporter\n",
    )
    lines: list[str] = []
    downloaded = find(binaries()["redis_exporter"], environ, lines.append)
    assert downloaded.exists()
    update, download = (tmp_path / "arguments").read_text().splitlines()
    assert all("Dir::State=./apt" in command for command in (update, download)), (
        "the system's package lists are not changed"
    )
    assert download.endswith("download prometheus-redis-exporter=1.45.0*")
    assert lines[-1].startswith("redis_exporter 1.45.0: fetched in ")


def test_the_cache_is_under_the_home_folder_unless_it_is_set(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "trust-otel"
    for environ in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}):
        assert cache_folder(environ) == Path.home() / ".cache" / "trust-otel"


def test_a_changed_file_or_command_changes_the_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "go.mod"
    file.write_text("one")
    recipe = Recipe("thing", (Step("compiling", ("go", "build")),), (file,))
    first = recipe.fingerprint()
    assert recipe.fingerprint() == first
    file.write_text("two")
    second = recipe.fingerprint()
    assert len({first, second, Recipe("thing", (Step("compiling", ("go", "install")),), (file,)).fingerprint()}) == 3


def test_a_changed_file_in_a_directory_changes_the_fingerprint(
    tmp_path: Path, thing: Binary, environ: dict[str, str]
) -> None:
    folder = tmp_path / "extension"
    folder.mkdir()
    (folder / "extension.go").write_text("one")
    script(tmp_path / "path" / "go", "#!/bin/sh\nmkdir bin && cp extension/extension.go bin/thing\n")
    altered = replace(thing, recipe=replace(thing.recipe, folders=(folder,)))
    first = find(altered, environ, silent)
    assert first.read_text() == "one"
    (folder / "extension.go").write_text("two")
    second = find(altered, environ, silent)
    assert second != first
    assert second.read_text() == "two"


def test_each_binary_has_its_own_variable() -> None:
    assert {binary.variable for binary in binaries().values()} == {
        "TRUST_OTEL_COLLECTOR_BINARY",
        "TRUST_OTEL_PROMETHEUS_BINARY",
        "TRUST_OTEL_PROMTOOL_BINARY",
        "TRUST_OTEL_ALERTMANAGER_BINARY",
        "TRUST_OTEL_AMTOOL_BINARY",
        "TRUST_OTEL_NODE_EXPORTER_BINARY",
        "TRUST_OTEL_POSTGRES_EXPORTER_BINARY",
        "TRUST_OTEL_REDIS_EXPORTER_BINARY",
        "TRUST_OTEL_PROMTOOL_2_42_BINARY",
        "TRUST_OTEL_SOFTHSM_BINARY",
        "TRUST_OTEL_KUSTOMIZE_BINARY",
    }
    assert unknown_names({binary.variable: "" for binary in binaries().values()}) == []
