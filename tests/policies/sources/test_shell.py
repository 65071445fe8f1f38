import pytest

from ollama_policy.model.settings import ENDPOINT, GPU_COUNT, IMAGE, MEMORY_LIMIT, Kind, Subject
from ollama_policy.sources.shell.scripts import Shell
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read, refused_at


def _script(text: str, **others: str | bytes) -> list[Subject]:
    return read(Shell(), "x.sh", text, **others)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("export A=1 B='x y'\n", {"A": ("1", "1"), "B": ("x y", "'x y'")}),
        ('export A="${X:-5m}"\n', {"A": ("5m", "5m")}),
        ("declare -x A=1; declare B=2; C=3\n", {"A": ("1", "1")}),
        ("A=1\nexport A\nA=2\n", {"A": ("2", "2")}),
        ("export A=1\nunset A\n", {}),
        ("export A=1 B=2\nexport -n A\n", {"B": ("2", "2")}),
        ("set -a\nA=1\nset +a\nB=2\n", {"A": ("1", "1")}),
        ("X=1d\nexport A=$X\n", {"A": ("1d", "1d")}),
        ("X=1\nX=2\nexport B=$(date) C=`date`\n", {"B": (UNKNOWN, "$(date)"), "C": (UNKNOWN, "`date`")}),
        ("X=1\nX=2\nexport A=${X:-3}\n", {"A": (UNKNOWN, "1")}),
        ("if x; then X=1; fi\nexport A=${X:-3}\n", {"A": (UNKNOWN, "1")}),
        ("export A=${A:-3}\nexport B=${A:-4}\n", {"A": ("3", "3"), "B": ("3", "3")}),
        ("read X\nexport A=$X\n", {"A": (UNKNOWN, "X")}),
        ("if x; then export A=1; else export A=2; fi\n", {"A": (UNKNOWN, "2")}),
        ("x || export A=1\n", {"A": (UNKNOWN, "1")}),
        ("x && export A=1 && ", {"A": ("1", "1")}),
        ("if x; then export A=1; ", {"A": ("1", "1")}),
        ("f() { export A=1; }\n", {"A": (UNKNOWN, "1")}),
        ("( export A=1 )\n", {"A": (UNKNOWN, "1")}),
        ("A=1 B='2' ", {"A": ("1", "1"), "B": ("2", "'2'")}),
        ("export A=1\nA=2 nohup env B=3 ", {"A": ("2", "2"), "B": ("3", "3")}),
        ("export A=1\nsudo -E timeout 9 /usr/bin/", {"A": ("1", "1")}),
        ("sudo -u ollama A=1 ", {"A": ("1", "1")}),
        ("echo ollama\nwhile :; do export A=1; ", {"A": ("1", "1")}),
    ],
)
def test_what_ollama_serve_is_given(lines: str, expected: Facts) -> None:
    closing = "; fi" if lines == "if x; then export A=1; " else "; done" if "while" in lines else ""
    subject = only(_script(f"#!/bin/bash\n{lines}ollama serve{closing}\n"))
    assert facts(subject) == expected
    assert (subject.kind, subject.address) == (Kind.SERVER, "ollama serve")
    assert at(subject).endswith("ollama serve")


@pytest.mark.parametrize(
    "text",
    [
        "echo 'ollama serve'",
        "echo ollama serve",
        "export OLLAMA_BASE_URL=x OLLAMA_HOST=y",
        "docker run -e OLLAMA_KEEP_ALIVE=1 ghcr.io/open-webui/open-webui:ollama",
        "docker run --rm ollama/ollama pull llama3",
        "docker run --rm --entrypoint bash ollama/ollama -c 'ollama pull x'",
        "docker exec ollama ollama list",
        "ollama pull x; ollama run",
        "curl https://api.openai.com/v1/chat/completions -d '{}' # ollama",
        "curl http://ollama:11434/api/tags",
        "pkill -f ollama",
    ],
)
def test_nothing_is_said_of_what_configures_nothing(text: str) -> None:
    assert _script(text) == []


def test_sudo_may_drop_what_is_exported() -> None:
    subject = only(_script("export A=1\nsudo ollama serve"))
    assert subject.unknown is not None
    assert (facts(subject), subject.insertion) == ({}, None)


def test_a_file_of_variables_is_followed_where_all_is_exported() -> None:
    text = "set -a; . ./conf; set +a\nollama serve"
    subject = only(_script(text, conf="OLLAMA_A='5m' # x\nOTHER=1\n"))
    assert facts(subject) == {"OLLAMA_A": ("5m", "'5m'")}
    assert subject.settings["OLLAMA_A"].file.path == "conf"
    assert only(_script(text)).unknown is not None
    assert only(_script("source conf\nollama serve", conf="export A=1")).unknown is not None


def test_profiles_and_the_apps_environment() -> None:
    text = "export OLLAMA_KEEP_ALIVE=-1 PATH=x\nlaunchctl setenv OLLAMA_NUM_PARALLEL 4\n"
    app, profile = read(Shell(), ".zshrc", text)
    assert facts(profile) == {"OLLAMA_KEEP_ALIVE": ("-1", "-1")}
    assert (facts(app), at(app)) == ({"OLLAMA_NUM_PARALLEL": ("4", "4")}, "launchctl setenv")
    assert profile.is_open
    assert app.is_open


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("-e A=1 --env B='x y' --env=C=3 -eD=4", {"A": "1", "B": "'x y'", "C": "3", "D": "4"}),
        ('-e "A=1 2"', {"A": "1 2"}),
        ("-dit -p 1:2 --restart=always --privileged -v a:/b -e A=1", {"A": "1"}),
        ('-e A="${X:-5m}"', {"A": "5m"}),
    ],
)
def test_docker_run(options: str, expected: dict[str, str]) -> None:
    for program in ("docker run", "sudo podman run", "docker container run", "nerdctl create"):
        subject = only(_script(f"{program} {options} \\\n  ollama/ollama:0.5 # note\n"))
        found = {key: place for key, (_, place) in facts(subject).items()}
        assert found == {**expected, IMAGE: "ollama/ollama:0.5"}
        assert at(subject) == program.removeprefix("sudo ")
        assert inserted(subject).startswith(f"{program} -e OLLAMA_NEW=1 -")


def test_what_docker_run_may_use() -> None:
    text = "docker run --name llm -m 8g --gpus '\"device=0,1\"' docker.io/ollama/ollama:$TAG serve # ollama\n"
    subject = only(_script(text))
    assert facts(subject) == {
        MEMORY_LIMIT: (2**33, "8g"),
        GPU_COUNT: (2, "'\"device=0,1\"'"),
        IMAGE: (UNKNOWN, "docker.io/ollama/ollama:$TAG"),
    }
    assert subject.address == "docker run llm"
    assert facts(only(_script("docker run --gpus all ollama/ollama")))[GPU_COUNT] == (UNKNOWN, "all")
    assert facts(only(_script("docker run --memory=lots ollama/ollama")))[MEMORY_LIMIT] == (UNKNOWN, "lots")


def test_docker_run_takes_from_the_script_and_from_files() -> None:
    text = "export A=1d\ndocker run -e A -e B --env-file x.env -e OLLAMA_C=3 ollama/ollama\n"
    variables = "OLLAMA_C=9\nOLLAMA_D='4' # x\nOTHER=1"
    subject = only(_script(text, **{"x.env": variables}))
    assert facts(subject) == {
        "A": ("1d", "1d"),
        "B": (UNKNOWN, "B"),
        "OLLAMA_C": ("3", "3"),
        "OLLAMA_D": ("'4' # x", "'4' # x"),
        IMAGE: ("ollama/ollama", "ollama/ollama"),
    }
    assert only(_script(text)).unknown is not None
    assert only(_script("docker run $OPTIONS ollama/ollama")).unknown is not None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("llama3 --keepalive -1 hello", {"model": ("llama3", "llama3"), "keep_alive": ("-1", "-1")}),
        ('--keepalive="1d" llama3', {"model": ("llama3", "llama3"), "keep_alive": ("1d", '"1d"')}),
        ("--verbose $M", {"model": (UNKNOWN, "$M")}),
        ("--format json m", {"model": ("m", "m")}),
    ],
)
def test_ollama_run(arguments: str, expected: Facts) -> None:
    subject = only(_script(f"ollama run {arguments} < x\n"))
    assert facts(subject) == {ENDPOINT: ("ollama run", "ollama run"), **expected}
    assert subject.kind is Kind.REQUEST


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("""-d '{"keep_alive": "-1"}'""", {"keep_alive": ("-1", '"-1"')}),
        ("""--data-raw='{"options": {"num_ctx": 8}}'""", {"options.num_ctx": (8, "8")}),
        ("""--json "{\\"keep_alive\\": \\"5m\\"}" """, {"keep_alive": ("5m", '\\"5m\\"')}),
        ("""-d '{"model": "'"$M"'", "keep_alive": '$K'}'""", {"model": ("m1", "m1"), "keep_alive": (UNKNOWN, "$K")}),
        ("""-d "{\\"keep_alive\\": ${K:--1}}" """, {"keep_alive": (-1, "-1")}),
        ("""-d '{"prompt": "`x` \\u0041"}'""", {"prompt": (UNKNOWN, '"`x` \\u0041"')}),
        ("""-d '{"messages": ["$X"], "raw": false}'""", {"messages": (UNKNOWN, '["$X"]'), "raw": (False, "false")}),
        ("""-d "$BODY" """, {"keep_alive": ("1d", '"1d"')}),
        ("-d @body.json", {"keep_alive": (0, "0")}),
        ("""-d @- <<E\n{"model": "$M", "keep_alive": -1}\nE""", {"model": ("m1", "m1"), "keep_alive": (-1, "-1")}),
        ("""--data @- <<'E'\n{"model": "$M"}\nE""", {"model": ("$M", '"$M"')}),
    ],
)  # fmt: skip
def test_curl(arguments: str, expected: Facts) -> None:
    head = 'M=m1\nBODY=\'{"keep_alive": "1d"}\'\n'
    subject = only(
        _script(f"{head}x=$(curl -sS 'http://h:11434/api/chat' {arguments}\n)", **{"body.json": '{"keep_alive": 0}'})
    )
    assert facts(subject) == {ENDPOINT: ("/api/chat", "/api/chat"), **expected}
    assert (at(subject), subject.unknown) == ("/api/chat", None)


@pytest.mark.parametrize("body", ["-d '[1]'", "-d '{'", '-d "$X"', "-d @x.json", "-d a -d b", "-d '{$X: 1}'"])
def test_a_body_that_is_not_read_is_said(body: str) -> None:
    assert only(_script(f"curl $OLLAMA/v1/chat/completions {body}")).unknown is not None


def test_a_request_is_ollamas_by_its_address_or_its_body() -> None:
    assert _script("""# ollama\ncurl http://x/api/generate -d '{"model": "x"}'""") == []
    assert _script("""curl http://x/api/generate -d '{"keep_alive": 0}'""")


def test_rewriting_leaves_escapes_alone() -> None:
    subject = only(_script("""curl h:11434/api/chat -d "{\\"keep_alive\\": \\"5m\\", \\"model\\": \\"${M:-x}\\"}" """))
    assert not subject.settings["keep_alive"].is_literal
    assert subject.settings["model"].is_literal
    assert subject.settings["model"].written == "x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sudo tee /lib/systemd/system/ollama.service.d/x.conf  <<EOF\n[Service]\nEnvironment=A=1 B=$B\nEOF",
            {"A": ("1", "1"), "B": (UNKNOWN, "$B")},
        ),
        (
            "cat <<'EOF' | sudo tee /etc/systemd/system/llm.service\n[Service]\nExecStart=ollama serve\n"
            'Environment="A=1d"\nEOF',
            {"A": ("1d", "1d")},
        ),
        (
            "f() {\nlocal d=/etc/systemd/system/ollama.service.d\n"
            '$SUDO tee "${d}/x.conf" > /dev/null << EOF\n[Service]\nEnvironment=A=1\nEOF\n}',
            {"A": ("1", "1")},
        ),
        (
            'sudo tee "$d/x.conf" <<EOF\n[Service]\nEnvironment=OLLAMA_KEEP_ALIVE=1\nEOF',
            {"OLLAMA_KEEP_ALIVE": ("1", "1")},
        ),
        ('sudo tee "$d/x.conf" <<EOF\n[Service]\nEnvironment=OLLAMA_HOST=1\nEOF', None),
        ("cat > /etc/default/ollama <<-EOF\n\tOLLAMA_HOST=x # y\nEOF", {"OLLAMA_HOST": ("x # y", "x # y")}),
        ("cat > ollama.env <<EOF\nOLLAMA_HOST=$H\nEOF", {"OLLAMA_HOST": (UNKNOWN, "$H")}),
        (
            "cat <<'EOF' > Dockerfile\nFROM ollama/ollama\nENV A=1\nEOF",
            {IMAGE: ("ollama/ollama", "ollama/ollama"), "A": ("1", "1")},
        ),
        (
            "cat > Modelfile.x <<EOF\nFROM ollama\nPARAMETER num_ctx 9\nEOF",
            {ENDPOINT: ("Modelfile", "FROM"), "model": ("ollama", "ollama"), "options.num_ctx": (9, "9")},
        ),
        ("cat > start.sh <<'EOF'\nA=1 ollama serve\nEOF", {"A": ("1", "1")}),
        ("ssh host bash -s <<'EOF'\nA=1 ollama serve\nEOF", {"A": ("1", "1")}),
        ("ssh host 'A=1 ollama serve'", {"A": ("1", "1")}),
        ("docker exec x sh -c 'A=1 ollama serve'", {"A": ("1", "1")}),
        ("cat > x.txt <<EOF\n[Unit]\nollama serve\nEOF", None),
        ("cat <<EOF\n[Service]\nExecStart=ollama serve\nEOF", None),
    ],
)
def test_texts_in_a_script(text: str, expected: Facts | None) -> None:
    assert [facts(subject) for subject in _script(text)] == ([] if expected is None else [expected])


def test_a_setting_is_added_before_the_command() -> None:
    text = "cd /x && nohup ollama serve &\n"
    assert inserted(only(_script(text))) == "cd /x && OLLAMA_NEW=1 nohup ollama serve &\n"


def test_told_by_name_or_by_its_first_line() -> None:
    for path in ("x.bash", "bin/start", ".bashrc"):
        assert read(Shell(), path, "#!/usr/bin/env bash\nollama serve")
    assert read(Shell(), "start", "ollama serve") == []
    assert read(Shell(), "x.sh", "\ufeffollama serve")[0].span.start == 3


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("x=(\n'ollama serve\n", 4),
        (b"x\nollama \xff", 9),
        ("( " * 300 + "ollama serve" + " )" * 300, 400),
    ],
)
def test_says_what_it_cannot_read(text: str | bytes, offset: int) -> None:
    assert refused_at(Shell(), "x.sh", text) == offset


def test_a_script_that_the_grammar_does_not_know_is_read_as_far_as_it_goes() -> None:
    text = "if x; then export B=1; fi )\nexport C=2\nA=1 ollama serve\n(\n"
    assert facts(only(_script(text)))["A"] == ("1", "1")
    assert facts(only(_script(text)))["C"] == (UNKNOWN, "2")
