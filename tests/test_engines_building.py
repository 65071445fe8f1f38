"""How engines are found, built side by side, and gone on with: by fakes of the tools, without any engine."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.engines import headers, native, toolchain, tools
from tests.engines.__main__ import main, targets
from tests.engines.build import build
from tests.engines.building import Job, build_all
from tests.engines.errors import ToolchainError
from tests.engines.processes import child_setup, lives
from tests.engines.progress import ProgressLine, Remaining
from tests.engines.recipes import BRIDGE, OLLAMA, OLLAMA_BEFORE_0_30, PULUMI, PULUMI_COMPANIONS, Sdist
from tests.engines.steps import Step, Steps
from tests.engines.toolchain import Engines, Ollama, find_or_build
from tests.promptness import assert_took_less

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def script(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH besides the shell's, with an empty cache beside it."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "bin"


def a_pulumi(folder: Path) -> Path:
    for name in PULUMI_COMPANIONS:
        script(folder, name, "")
    return script(folder, "pulumi", "echo v3.200.1")


def test_finds_fit_tools_on_path(bin_folder: Path, tmp_path: Path) -> None:
    ollama = script(bin_folder, "ollama", "echo 'Warning: could not connect'; echo 'Warning: client version is 0.34.3'")
    pulumi = a_pulumi(bin_folder)
    server = tmp_path / OLLAMA.beside_libraries("llama-server")
    server.parent.mkdir(parents=True)
    assert toolchain.proven_on_path(OLLAMA) is None, "without its llama-server it can load nothing"
    server.touch()
    engines = find_or_build(pytest.fail)
    assert engines == Engines(ollama, pulumi, (bin_folder,))
    path = engines.environment({"PATH": "/usr/bin", "A": "b"})["PATH"].split(os.pathsep)
    assert path == [str(Path(sys.executable).parent), str(bin_folder), "/usr/bin"]
    assert toolchain.find_or_build_ollama(pytest.fail) == Ollama("0.34.3", ollama, is_on_path=True)


def test_another_version_is_good_for_the_demo_and_proves_nothing_in_tests(bin_folder: Path) -> None:
    ollama = script(bin_folder, "ollama", "echo ollama version is 0.30.1")
    pulumi = a_pulumi(bin_folder)
    assert toolchain.proven_on_path(OLLAMA) is None
    found = toolchain.find_ollama()
    assert found == Ollama("0.30.1", ollama, is_on_path=True)
    assert found.numbers == (0, 30, 1)
    assert find_or_build(pytest.fail, found) == Engines(ollama, pulumi, (bin_folder,))


def test_what_the_cache_has_is_not_built_again_and_nothing_is_said(
    bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for target in targets().values():
        target.job.folder.mkdir(parents=True)
    assert main([]) == 0
    assert main(["ollama-0.32.15", "pulumi"]) == 0
    assert capsys.readouterr() == ("", "")
    built = tmp_path / "cache" / "ollama-iac" / "engines" / "ollama-0.34.3"
    assert toolchain.find_or_build_ollama(pytest.fail).program == built / "bin" / "ollama"
    assert toolchain.find_or_build_fit_params(pytest.fail) == built / "lib" / "ollama" / "llama-fit-params"


def test_help_names_every_engine_and_an_unknown_one_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert [name for name in targets() if name not in told] == []
    assert main(["ollama-0.16.0"]) == 1
    assert capsys.readouterr().err.startswith("error: 'ollama-0.16.0' is not an engine, known are: ollama-0.34.3, ")


@pytest.mark.parametrize(("said", "code"), [("0.9.9", 0), ("0.17.4", 1), ("no number", 0)])
def test_an_unfit_tool_is_not_taken(bin_folder: Path, said: str, code: int) -> None:
    script(bin_folder, "ollama", f"echo ollama version is {said}; exit {code}")
    assert toolchain.find_ollama() is None


def test_pulumi_without_its_companions_is_not_taken(bin_folder: Path) -> None:
    script(bin_folder, "pulumi", "echo v3.259.0")
    assert toolchain.find_pulumi() is None


def test_no_go_and_an_old_go_are_one_clear_line(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "GO_FALLBACK", str(bin_folder))
    with pytest.raises(
        ToolchainError, match=r"^ollama is not on PATH .* there is no Go .*install ollama or Go 1.26.0$"
    ):
        tools.find_go(OLLAMA)
    script(bin_folder, "go", "echo go1.22.0; echo local")
    with pytest.raises(ToolchainError, match=r"^\S+/go is go1.22.0, too old .* install Go 1.25.11$"):
        tools.find_go(PULUMI)
    script(bin_folder, "go", "echo go1.22.0; echo auto")
    assert tools.find_go(PULUMI) == bin_folder / "go"


def a_go(folder: Path, text: str) -> None:
    script(folder, "go", f'[ "$1" = env ] && {{ echo go1.26.9; exit; }}\n{text}')


def test_a_failed_build_shows_the_end_of_its_log(bin_folder: Path, tmp_path: Path) -> None:
    a_go(bin_folder, "echo it broke here; exit 3")
    lines: list[str] = []
    folder = tmp_path / "cache" / PULUMI.folder
    with pytest.raises(ToolchainError, match=r"(?s)^pulumi-3.259.0: `.*` failed, log: .*it broke here"):
        build(PULUMI, folder, lines.append)
    assert not folder.exists()
    assert len(lines) == 1
    assert lines[0].endswith(" left: pulumi-3.259.0: fetching modules")


def test_a_module_is_replaced_where_a_recipe_says_so(bin_folder: Path, tmp_path: Path) -> None:
    a_go(bin_folder, "exit 3")
    with pytest.raises(ToolchainError):
        build(BRIDGE, tmp_path / BRIDGE.folder, lambda line: None)
    [module] = tmp_path.rglob("go.mod")
    assert f"\nreplace {BRIDGE.builds[0].replace}\n" in module.read_text()


def test_missing_headers_that_cannot_be_had_are_named(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "SYSTEM", tmp_path / "nothing")
    a_go(bin_folder, "")
    packages = "nlohmann-json3-dev libstb-dev"
    with pytest.raises(ToolchainError, match=f"no apt-get to download them: install the packages {packages}$"):
        build(OLLAMA_BEFORE_0_30, tmp_path / "ollama", lambda line: None)
    script(bin_folder, "apt-get", "echo no network; exit 100")
    with pytest.raises(ToolchainError, match=f"(?s)downloaded, install the packages {packages}; .*no network$"):
        build(OLLAMA_BEFORE_0_30, tmp_path / "ollama", lambda line: None)


def test_a_compiler_and_git_that_are_not_there_are_named(bin_folder: Path, tmp_path: Path) -> None:
    a_go(bin_folder, "")
    with pytest.raises(ToolchainError, match=r"^ollama 0.34.3 cannot be built: install a C\+\+ compiler .* and git$"):
        build(OLLAMA, tmp_path / "ollama", lambda line: None)


# What the tools do of which Ollama's recipe needs it, and what it leaves to be looked at.
FAKE_GO = """
case "$1 $2" in
"get "*) ;;
"list "*) printf 'one\\ntwo\\n' ;;
"mod "*) echo "{\\"Dir\\": \\"$MODULES\\"}" ;;
"build "*) echo one; while [ "$1" != -o ]; do shift; done; echo ollama > "$2" ;;
esac
"""
FAKE_CMAKE = """
case "$1" in
--version) echo cmake version 3.28.1 ;;
-S) mkdir -p "$4/bin" ;;
--install) mkdir -p "$4/lib/ollama"; echo server > "$4/lib/ollama/llama-server" ;;
esac
"""
FAKE_NINJA = """
[ -e "$2/began" ] || { touch "$2/began"; echo '[1/3] a.cpp'; echo no memory; exit 1; }
for target in "$@"; do touch "$2/bin/$target"; done
touch "$2/bin/libllama-fit-params-impl.so"
echo "[3/3] $*"
"""


def test_llama_server_s_build_goes_on_where_it_was_cut_off(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("MODULES", str(tmp_path / "modules"))
    a_go(bin_folder, FAKE_GO)
    script(bin_folder, "cmake", FAKE_CMAKE)
    script(bin_folder, "ninja", FAKE_NINJA)
    asked: list[str] = []

    def fake_source(sdist: Sdist, work: Path, environment: Mapping[str, str]) -> Steps[Path]:
        asked.append(sdist.version)
        yield from ()
        return work

    monkeypatch.setattr(native, "source_of", fake_source)
    folder = tmp_path / "cache" / OLLAMA.folder
    with pytest.raises(ToolchainError, match=r"(?s)^ollama-0.34.3: `.*ninja .*` failed, log: .*no memory$"):
        build(OLLAMA, folder, lambda line: None)
    assert not folder.exists()
    build(OLLAMA, folder, lambda line: None)
    made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    libraries = [f"lib/ollama/{name}" for name in ("libllama-fit-params-impl.so", "llama-fit-params", "llama-server")]
    assert made == ["bin/ollama", *libraries]
    assert asked == ["10970.0.0"] * 2
    log = folder.with_name("ollama-0.34.3.log").read_text()
    assert f"-j {os.cpu_count()} llama-server ggml-cpu llama-fit-params\n" in log
    assert f"-DFETCHCONTENT_SOURCE_DIR_LLAMA_CPP={folder}.building" in log
    assert sorted(path.name for path in folder.parent.iterdir()) == [
        *("ollama-0.34.3", "ollama-0.34.3.lock", "ollama-0.34.3.log"),
    ]


def test_a_source_package_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(tmp_path / "other-1.0.tar.gz", "w:gz"):
        pass
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    sdist = Sdist("other", "1.0", "0" * 64, "source")

    def steps() -> Steps[None]:
        yield from native.source_of(sdist, tmp_path, os.environ)

    with pytest.raises(ToolchainError, match=r"(?s)^other-1: .*DO NOT MATCH THE HASHES.*Expected sha256 0{64}"):
        build_all([Job(tmp_path / "other-1", 1, steps)], ProgressLine(lambda line: None))


def test_builds_run_side_by_side_with_at_most_as_many_compilers_as_cores(tmp_path: Path) -> None:
    environment = {**os.environ, "AT": str(tmp_path)}
    # The first fetches wait for a third one, however slowly the machine starts it.
    together = 'until [ $(ls "$AT" | grep -c "^fetches") -ge 3 -o -e "$AT/met" ]; do sleep 0.05; done; touch "$AT/met"'
    at_work = (
        f'mkdir "$AT/$0.$1"; [ $0 = compiles ] || {{ {together}; }}; '
        'ls "$AT" | grep -c "$0" >> "$AT/most-$0"; sleep 0.3; rmdir "$AT/$0.$1"'
    )

    def job(number: int) -> Job:
        def steps() -> Steps[None]:
            for kind, seconds in (("fetches", 0.0), ("compiles", 10.0)):
                command = ["sh", "-c", at_work, kind, str(number), "{cores}"]
                yield Step(command, kind, tmp_path, environment, seconds)
            folder.mkdir()

        folder = tmp_path / f"job-{number}"
        return Job(folder, 10 * number, steps)

    lines: list[str] = []
    jobs = [job(number) for number in range(1, 5)]
    assert build_all(jobs, ProgressLine(lines.append), cores=2) == jobs
    most = {
        kind: max(map(int, (tmp_path / f"most-{kind}").read_text().split())) - 1 for kind in ("fetches", "compiles")
    }
    assert most["compiles"] == 2
    assert most["fetches"] > 2
    assert build_all(jobs, ProgressLine(pytest.fail), cores=2) == []
    assert lines[0].startswith("0 of 4 built, about 50 s left: job-4: fetches; job-3: fetches; ")


def test_the_remaining_time_follows_how_fast_it_went() -> None:
    remaining = Remaining(1200, cores=2)
    assert remaining.text([(1200, 0)], elapsed=0) == "about 10 min left"
    assert remaining.text([(1200 - 600, 2)], elapsed=300) == "about 5 min left"
    # Half as fast as where the recipe was measured; and what one core alone has to do takes as long as that.
    assert remaining.text([(600, 2)], elapsed=600) == "about 9 min left"
    assert remaining.text([(300, 1), (0, 0)], elapsed=450) == "about 5 min left"
    assert remaining.text([(1, 2)], elapsed=600) == "about 10 s left"


def test_progress_is_one_line_on_a_terminal_and_a_line_at_times_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, shown in ((Terminal(), "\r\x1b[Kone\r\x1b[K"), (io.StringIO(), "one\n")):
        line = ProgressLine.on(stream)
        line("one")
        line("one, and too soon after it")
        line.clear()
        assert stream.getvalue() == shown


def test_an_interrupted_build_stops_its_whole_group(tmp_path: Path) -> None:
    script(tmp_path, "go", '[ "$1" = env ] && { echo go1.26.0; exit; }; sleep 60 & echo $! > "$PIDS"; wait')
    pids = tmp_path / "pids"
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "XDG_CACHE_HOME": str(tmp_path),
        "PIDS": str(pids),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=child_setup(),  # noqa: PLW1509 - everything it needs is loaded before the fork
    )
    while not (pids.exists() and pids.read_text()):
        time.sleep(0.02)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert_took_less(1.5, began)
    assert process.returncode == 1
    assert said.endswith("the next run goes on from here\n")
    assert not psutil.pid_exists(child := int(pids.read_text())) or not lives(psutil.Process(child))


def test_a_second_builder_waits_and_says_so(tmp_path: Path) -> None:
    def steps() -> Steps[None]:
        yield Step(["sleep", "60"], "sleeping", tmp_path, os.environ)

    job = Job(tmp_path / "tool-1", 10, steps)
    code = (
        "import fcntl, sys, time; from pathlib import Path\n"
        "lock = Path(sys.argv[1]).open('a'); fcntl.flock(lock, fcntl.LOCK_EX); print('held', flush=True)\n"
        "time.sleep(1); Path(sys.argv[2]).mkdir()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(job.lock), str(job.folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        lines: list[str] = []
        build_all([job], ProgressLine(lines.append))
    assert lines == ["about 10 s left: tool-1: another process is building it, waiting"]
