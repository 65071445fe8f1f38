import pytest

from ollama_policy.model.settings import GPU_COUNT, IMAGE, MEMORY_LIMIT, Unknown, apply
from ollama_policy.rules.edits import put, replace
from ollama_policy.sources.compose.go_text import go_text
from ollama_policy.sources.compose.services import Compose
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read, refused_at
from tests.policies.sources.trees import file

_IMAGE: Facts = {IMAGE: ("ollama/ollama", "ollama/ollama")}


def service(*lines: str, image: str = "ollama/ollama") -> str:
    return "\n".join(["services:", "  llm:", f"    image: {image}", *(f"    {line}" for line in lines)]) + "\n"


def environment(*lines: str) -> str:
    return service("environment:", *(f"  {line}" for line in lines))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["OLLAMA_A: 5m # note"], {"OLLAMA_A": ("5m", "5m")}),
        (["OLLAMA_A: 'it''s'"], {"OLLAMA_A": ("it's", "'it''s'")}),
        (['OLLAMA_A: "5m"'], {"OLLAMA_A": ("5m", '"5m"')}),
        (["OLLAMA_A: -1"], {"OLLAMA_A": ("-1", "-1")}),
        (["OLLAMA_A: 0x10"], {"OLLAMA_A": ("16", "0x10")}),
        (["OLLAMA_A: True"], {"OLLAMA_A": ("true", "True")}),
        (["OLLAMA_A: off"], {"OLLAMA_A": ("off", "off")}),
        (["OLLAMA_A:"], {"OLLAMA_A": (UNKNOWN, "OLLAMA_A")}),
        (["OLLAMA_A: !x 1"], {"OLLAMA_A": ("1", "1")}),
        (["- OLLAMA_A=5m # note"], {"OLLAMA_A": ("5m", "5m")}),
        (['- "OLLAMA_A=5m"'], {"OLLAMA_A": ("5m", "5m")}),
        (["- OLLAMA_A"], {"OLLAMA_A": (UNKNOWN, "OLLAMA_A")}),
        (["- OLLAMA_A="], {"OLLAMA_A": ("", "")}),
        (["- OLLAMA_A=a=b"], {"OLLAMA_A": ("a=b", "a=b")}),
        (["- SECRET=x", "- LLAMA_ARG_FIT=on"], {"LLAMA_ARG_FIT": ("on", "on")}),
        (["- OLLAMA_A=1", "- OLLAMA_A=2"], {"OLLAMA_A": ("2", "2")}),
        (["OLLAMA_A: ${X:-5m}"], {"OLLAMA_A": ("5m", "5m")}),
        (["OLLAMA_A: ${X-}"], {"OLLAMA_A": ("", "")}),
        (["OLLAMA_A: ${X:-${Y:-5m}}"], {"OLLAMA_A": ("5m", "5m")}),
        (["OLLAMA_A: ${X:-1}${Y:-0}m"], {"OLLAMA_A": ("10m", "${X:-1}${Y:-0}m")}),
        (["OLLAMA_A: a$$b"], {"OLLAMA_A": ("a$b", "a$$b")}),
        (["OLLAMA_A: $X"], {"OLLAMA_A": (UNKNOWN, "$X")}),
        (["OLLAMA_A: ${X:?must be set}"], {"OLLAMA_A": (UNKNOWN, "${X:?must be set}")}),
        (["OLLAMA_A: ${X:+1}"], {"OLLAMA_A": (UNKNOWN, "${X:+1}")}),
        (["OLLAMA_A: ${1}"], {"OLLAMA_A": (UNKNOWN, "${1}")}),
        (["OLLAMA_A: ${X:-5m"], {"OLLAMA_A": (UNKNOWN, "${X:-5m")}),
        (["OLLAMA_A: ${SET:-5m}"], {"OLLAMA_A": ("9m", "9m")}),
        (["OLLAMA_A: ${SET:+1}"], {"OLLAMA_A": ("1", "1")}),
        (["OLLAMA_A: ${EMPTY:-5m}"], {"OLLAMA_A": ("5m", "5m")}),
        (["OLLAMA_A: ${EMPTY-5m}"], {"OLLAMA_A": ("", "")}),
        (["SET:", "OLLAMA_B:"], {"OLLAMA_B": ("b", "b")}),
        (["OLLAMA_A: {{ x }}"], {"OLLAMA_A": (UNKNOWN, "{{ x }}")}),
        (["- OLLAMA_A={{ x }}", "- OLLAMA_B=2"], {"OLLAMA_A": (UNKNOWN, "{{ x }}"), "OLLAMA_B": ("2", "2")}),
    ],
)  # fmt: skip
def test_reads_variables_as_compose_does(lines: list[str], expected: Facts) -> None:
    for text in (environment(*lines), environment(*lines).replace("\n", "\r\n")):
        subject = only(read(Compose(), "compose.yaml", text, _DOT_env="SET=9m\nEMPTY=\nOLLAMA_B=b\n"))
        assert facts(subject) == {**_IMAGE, **expected}
        assert (subject.address, at(subject)) == ("service llm", "llm")


def test_a_key_twice_is_kept_as_repeated_and_a_layer_below_is_not() -> None:
    subject = only(read(Compose(), "compose.yaml", environment("- OLLAMA_A=1", "- OLLAMA_A=2")))
    assert [setting.value for setting in subject.repeated] == ["1"]
    text = service("env_file: a.env", "environment: [OLLAMA_A=2]")
    assert only(read(Compose(), "compose.yaml", text, a_DOT_env="OLLAMA_A=1")).repeated == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: &x {OLLAMA_A: 1, OLLAMA_B: 2}\n" + environment("<<: *x", "OLLAMA_B: 3"),
         {"OLLAMA_A": ("1", "1"), "OLLAMA_B": ("3", "3")}),
        ("x: &x {OLLAMA_A: 1}\n" + service("environment: *x"), {"OLLAMA_A": ("1", "1")}),
        ("x: &x 5m\n" + environment("OLLAMA_A: *x"), {"OLLAMA_A": ("5m", "5m")}),
        ("x: &x {environment: {OLLAMA_A: 1}}\n" + service("<<: *x"), {"OLLAMA_A": ("1", "1")}),
    ],
)  # fmt: skip
def test_what_is_shared_is_read_and_not_rewritten(text: str, expected: Facts) -> None:
    subject = only(read(Compose(), "compose.yaml", text))
    assert facts(subject) == {**_IMAGE, **expected}
    assert not subject.settings["OLLAMA_A"].is_literal


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["mem_limit: 8g"], {MEMORY_LIMIT: (2**33, "8g")}),
        (["mem_limit: 8589934592"], {MEMORY_LIMIT: (2**33, "8589934592")}),
        (["mem_limit: ${X:-512m}"], {MEMORY_LIMIT: (2**29, "512m")}),
        (["mem_limit: 0"], {}),
        (["mem_limit: much"], {MEMORY_LIMIT: (UNKNOWN, "much")}),
        (["deploy: {resources: {limits: {memory: 8G}}}", "mem_limit: 1g"], {MEMORY_LIMIT: (2**33, "8G")}),
        (["deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 2, capabilities: [gpu]}]}}}"],
         {GPU_COUNT: (2, "2")}),
        (["deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}"],
         {GPU_COUNT: (UNKNOWN, "all")}),
        (["deploy: {resources: {reservations: {devices: [{device_ids: ['0', '3'], capabilities: [gpu]}]}}}"],
         {GPU_COUNT: (2, "['0', '3']")}),
        (["deploy: {resources: {reservations: {devices: [{driver: x, capabilities: [tpu]}]}}}"], {}),
        (["gpus: all"], {GPU_COUNT: (UNKNOWN, "all")}),
        (["gpus: [{count: 3}]"], {GPU_COUNT: (3, "3")}),
    ],
)  # fmt: skip
def test_reads_memory_and_gpus(lines: list[str], expected: Facts) -> None:
    assert facts(only(read(Compose(), "compose.yaml", service(*lines)))) == {**_IMAGE, **expected}


@pytest.mark.parametrize(
    ("image", "value", "written"),
    [
        ("ollama/ollama:0.17.4", "ollama/ollama:0.17.4", "ollama/ollama:0.17.4"),
        ("'ollama/ollama'", "ollama/ollama", "'ollama/ollama'"),
        ("ollama/ollama:${T:-0.5}", "ollama/ollama:0.5", "ollama/ollama:${T:-0.5}"),
        ("ollama/ollama:${T}", UNKNOWN, "ollama/ollama:${T}"),
        ("${I:-ollama/ollama:1}", "ollama/ollama:1", "ollama/ollama:1"),
    ],
)
def test_reads_images(image: str, value: str, written: str) -> None:
    assert facts(only(read(Compose(), "compose.yaml", service(image=image)))) == {IMAGE: (value, written)}


@pytest.mark.parametrize(
    "text",
    [
        service("environment: [OLLAMA_KEEP_ALIVE=x]", image="ghcr.io/open-webui/open-webui:ollama"),
        service('entrypoint: ["sh", "-c", "ollama pull x"]'),
        service("command: pull x"),
        service(image="${IMAGE}"),
        "services: [ollama/ollama]",
        "services:\n  a:\n    build: ./ollama\n",
        "services:\n  a:\n    environment: [OLLAMA_A=1]\n",
    ],
)
def test_says_nothing_of_other_services(text: str) -> None:
    assert read(Compose(), "compose.yaml", text) == []


def test_env_files() -> None:
    text = service("env_file:", "  - one.env", "  - {path: two.env, format: raw}", "environment:", "  OLLAMA_C: c")
    one, two = "OLLAMA_A=1 # note\nOLLAMA_B='2'\nOLLAMA_C=3\n", "OLLAMA_B='4'\nSECRET=x\n"
    subject = only(read(Compose(), "d/compose.yaml", text, d__one_DOT_env=one, d__two_DOT_env=two))
    assert facts(subject) == {**_IMAGE, "OLLAMA_A": ("1", "1"), "OLLAMA_B": ("'4'", "'4'"), "OLLAMA_C": ("c", "c")}
    assert subject.settings["OLLAMA_B"].file.path == "d/two.env"
    assert subject.settings["OLLAMA_B"].origin == "env_file two.env"
    assert subject.unknown is None


@pytest.mark.parametrize("line", ["env_file: ollama.env", "env_file: [{path: ollama.env, required: false}]"])
def test_an_env_file_that_is_not_there_leaves_the_rest_unknown(line: str) -> None:
    subject = only(read(Compose(), "compose.yaml", service(line)))
    assert subject.unknown == Unknown("the env file ollama.env is not in the tree")


def test_extends_in_the_file_and_in_another() -> None:
    text = "services:\n  a: {extends: b, environment: {OLLAMA_A: 1}}\n  b: {extends: {file: x/base.yml, service: c}}\n"
    base = "services:\n  c: {image: ollama/ollama, mem_limit: 1g, environment: [OLLAMA_A=2, OLLAMA_B=3]}\n"
    first, second = read(Compose(), "compose.yaml", text, x__base_DOT_yml=base)
    assert facts(first)["OLLAMA_A"] == ("1", "1")
    assert facts(first).keys() == {IMAGE, MEMORY_LIMIT, "OLLAMA_A", "OLLAMA_B"}
    assert first.settings["OLLAMA_B"].origin == "extends c in x/base.yml"
    assert first.settings["OLLAMA_B"].file.path == "x/base.yml"
    assert not first.settings["OLLAMA_B"].is_literal
    assert facts(second)["OLLAMA_A"] == ("2", "2")


@pytest.mark.parametrize("extends", ["llm", "{service: x, file: none.yml}", "nobody"])
def test_extends_that_leads_nowhere(extends: str) -> None:
    subject = only(read(Compose(), "compose.yaml", service(f"extends: {extends}")))
    assert (subject.unknown is None) is (extends == "llm")


def test_an_override_that_compose_takes_by_itself_counts_in_the_file_below() -> None:
    below, above = service("mem_limit: 1g"), "services:\n  llm: {environment: {OLLAMA_A: 1}}\n"
    others = {"compose_DOT_override_DOT_yml": above}
    subject = only(read(Compose(), "compose.yaml", below, **others))
    assert facts(subject)["OLLAMA_A"] == ("1", "1")
    assert subject.settings["OLLAMA_A"].file.path == "compose.override.yml"
    assert read(Compose(), "compose.override.yml", above, compose_DOT_yaml=below) == []


def test_an_override_for_some_uses_is_read_over_what_is_beside_it() -> None:
    below, above = service("mem_limit: 1g"), "services:\n  llm: {environment: {OLLAMA_A: 1}}\n"
    subject = only(read(Compose(), "compose.gpu.yaml", above, compose_DOT_yaml=below))
    assert facts(subject) == {**_IMAGE, MEMORY_LIMIT: (2**30, "1g"), "OLLAMA_A": ("1", "1")}
    assert subject.settings["OLLAMA_A"].is_literal
    assert not subject.settings[IMAGE].is_literal
    assert read(Compose(), "compose.gpu.yaml", "services:\n  llm: {gpus: all}\n", compose_DOT_yaml=below) == []


def test_what_a_dockerfile_says_of_a_service_that_is_built() -> None:
    text = "services:\n  llm:\n    image: mine:latest\n    build: ./llm\n    environment: [OLLAMA_B=3]\n"
    dockerfile = "FROM ollama/ollama:0.17.4\nENV OLLAMA_A=1 OLLAMA_B=2\n"
    subject = only(read(Compose(), "compose.yaml", text, llm__Dockerfile=dockerfile))
    assert facts(subject) == {
        IMAGE: ("ollama/ollama:0.17.4", "ollama/ollama:0.17.4"), "OLLAMA_A": ("1", "1"), "OLLAMA_B": ("3", "3"),
    }  # fmt: skip
    assert read(Compose(), "compose.yaml", text, llm__Dockerfile="FROM debian\n") == []


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        (["environment:", "  OLLAMA_A: 1 # note", "restart: always"], '1 # note\n      OLLAMA_NEW: "1"\n    restart'),
        (["environment:", "  - OLLAMA_A=1", "  # note"], "=1\n      - OLLAMA_NEW=1\n      # note\n"),
        (["environment:", "- 'OLLAMA_A=1'"], "- 'OLLAMA_A=1'\n    - 'OLLAMA_NEW=1'\n"),
        (["environment: [OLLAMA_A=1]"], "[OLLAMA_A=1, OLLAMA_NEW=1]\n"),
        (["environment: {OLLAMA_A: 1}"], '{OLLAMA_A: 1, OLLAMA_NEW: "1"}\n'),
        (['environment: {"OLLAMA_A": "1"}'], '{"OLLAMA_A": "1", "OLLAMA_NEW": "1"}\n'),
        (
            ["environment:", "  OLLAMA_A: |", "    a", "", "restart: always"],
            '\n        a\n      OLLAMA_NEW: "1"\n    \n',
        ),
    ],
)
def test_one_more_variable_goes_where_the_others_are(lines: list[str], end: str) -> None:
    for ending in ("\n", "\r\n"):
        text = service(*lines).replace("\n", ending)
        after = inserted(only(read(Compose(), "compose.yaml", text)))
        assert end.replace("\n", ending) in after
        assert len(after) > len(text)
        assert only(read(Compose(), "compose.yaml", after)).value("OLLAMA_NEW") == "1"


@pytest.mark.parametrize(
    "lines", [[], ["environment: {}"], ["environment: []"], ["environment:"], ["environment: &x [&y OLLAMA_A=1, *y]"]]
)
def test_where_no_variables_are_none_can_be_added(lines: list[str]) -> None:
    assert only(read(Compose(), "compose.yaml", service(*lines))).insertion is None


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("OLLAMA_A: 1", 'OLLAMA_A: "5m"'),
        ("OLLAMA_A: '1' # note", "OLLAMA_A: '5m' # note"),
        ('- "OLLAMA_A=1"', '- "OLLAMA_A=5m"'),
        ("- OLLAMA_A=1", "- OLLAMA_A=5m"),
    ],
)
def test_a_value_is_rewritten_in_place(line: str, after: str) -> None:
    subject = only(read(Compose(), "compose.yaml", environment(line)))
    edit = replace(subject.settings["OLLAMA_A"], subject, "5m")
    assert edit is not None
    assert apply([edit], edit.file.data).decode() == environment(after)
    assert put(subject, "OLLAMA_A", "5m") == edit


@pytest.mark.parametrize(
    ("path", "text", "accepted"),
    [
        ("stack.yml", service(), True),
        ("docker-compose.yml", "version: '3'\n" + service(), True),
        ("values.yaml", service(), False),
        ("ci.yml", "jobs:\n  a:\n    services:\n      ollama: {image: ollama/ollama}\n", False),
        ("a.yaml", "apiVersion: v1\nservices: {}\n", False),
    ],
)
def test_which_files_are_compose(path: str, text: str, accepted: bool) -> None:
    assert Compose().accepts(file(path, text)) is accepted


def test_a_file_that_does_not_parse_is_refused_at_its_place() -> None:
    text = service("environment:", "  - OLLAMA_A=1", " - x")
    assert refused_at(Compose(), "compose.yaml", text) == text.index("- x")


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("0x10", "16"), ("010", "8"), ("0o17", "15"), ("08", "8"), ("1_000", "1000"), ("+5", "5"), ("-1", "-1"),
        ("1.0", "1"), ("1e3", "1000"), ("1e6", "1e+06"), ("1073741824.5", "1.0737418245e+09"), ("1.5e-7", "1.5e-07"),
        ("0.00012", "0.00012"), (".5", "0.5"), ("0.0", "0"), ("TRUE", "true"), ("tRue", "tRue"), ("yes", "yes"),
        ("5m", "5m"), ("_1", "_1"), ("1:30", "1:30"), ("99999999999999999999", "1e+20"),
    ],
)  # fmt: skip
def test_plain_scalars_are_what_go_prints(plain: str, expected: str) -> None:
    assert go_text(plain) == expected


INCLUDED = "services:\n  llm:\n    image: ollama/ollama:${TAG:-1}\n    environment: {OLLAMA_A: '${A:-default}'}\n"


@pytest.mark.parametrize(
    ("include", "others", "expected"),
    [
        # Whose variables count.
        ("[ai/x.yaml]", {}, ("default", "ai/x.yaml")),
        ("[ai/x.yaml]", {"ai___DOT_env": "A=beside\n"}, ("beside", "ai/.env")),
        ("[ai/x.yaml]", {"ai___DOT_env": "A=beside\n", "_DOT_env": "A=above\n"}, ("above", ".env")),
        ("[{path: ai/x.yaml}]", {"ai___DOT_env": "A=beside\n"}, ("beside", "ai/.env")),
        ("[{path: ai/x.yaml, project_directory: .}]", {"ai___DOT_env": "A=beside\n"}, ("default", "ai/x.yaml")),
        ("[{path: ai/x.yaml, project_directory: p}]", {"p___DOT_env": "A=project\n"}, ("project", "p/.env")),
        ("[{path: ai/x.yaml, env_file: e/a.env}]", {"e__a_DOT_env": "A=given\n"}, ("given", "e/a.env")),
        ("[{path: ai/x.yaml, env_file: [a.env, b.env]}]", {"a_DOT_env": "A=a\n", "b_DOT_env": "A=b\n"}, ("b", "b.env")),
        ("[{path: ai/x.yaml, env_file: a.env}]", {"a_DOT_env": "B=a\n", "ai___DOT_env": "A=b\n"},
         ("default", "ai/x.yaml")),
        ("[{path: ai/x.yaml, env_file: a.env}]", {}, ("the env file a.env is not in the tree", "ai/x.yaml")),
        ("['${WHERE:-ai}/x.yaml']", {"ai___DOT_env": "A=beside\n"}, ("beside", "ai/.env")),
        # What is laid over it.
        ("[{path: [ai/x.yaml, o.yaml]}]", {"o_DOT_yaml": "services: {llm: {environment: [OLLAMA_A=over]}}\n"},
         ("over", "o.yaml")),
        ("[ai/x.yaml]", {"compose_DOT_override_DOT_yml": "services: {llm: {environment: [OLLAMA_A=over]}}\n"},
         ("over", "compose.override.yml")),
        # Included by what is included.
        ("[mid/compose.yaml]", {"mid__compose_DOT_yaml": "include: [../ai/x.yaml]\n", "_DOT_env": "A=above\n"},
         ("default", "ai/x.yaml")),
        ("[ai/compose.yaml]", {"ai__compose_DOT_yaml": "include: [x.yaml]\n", "_DOT_env": "A=above\n"},
         ("above", ".env")),
        # No includes.
        ("[none.yaml]", {"_DOT_env": "A=above\n"}, ("default", "ai/x.yaml")),
        ("[", {"_DOT_env": "A=above\n"}, ("default", "ai/x.yaml")),
        ("[ai/x.yaml, compose.yaml, '${B}']", {"ai__compose_DOT_yaml": "include: ['${A}', ../compose.yaml]\n"},
         ("default", "ai/x.yaml")),
    ],
)  # fmt: skip
def test_an_included_service_is_judged_in_its_own_file_with_what_includes_it(
    include: str, others: dict[str, str], expected: tuple[str, str]
) -> None:
    above = f"include: {include}\nservices: {{web: {{image: nginx}}}}\n"
    setting = only(read(Compose(), "ai/x.yaml", INCLUDED, compose_DOT_yaml=above, **others)).settings["OLLAMA_A"]
    value = setting.value.reason if isinstance(setting.value, Unknown) else setting.value
    assert (value, setting.file.path) == expected


def test_what_includes_others_says_nothing_of_their_services() -> None:
    text = "include: [ai/x.yaml]\n"
    others = {"ai__x_DOT_yaml": INCLUDED}
    assert read(Compose(), "compose.yaml", text, **others) == []
    assert only(read(Compose(), "compose.yaml", text + service(), **others)).unknown is None


@pytest.mark.parametrize(
    ("include", "place", "reason"),
    [
        ("[ai/x.yaml]", "ai/x.yaml", "the included file ai/x.yaml is not in the tree"),
        ("['../x.yaml']", "'../x.yaml'", "the included file ../x.yaml is not in the tree"),
        ("[/etc/x.yaml]", "/etc/x.yaml", "the included file /etc/x.yaml is not in the tree"),
        ("[oci://r.io/ollama]", "oci://r.io/ollama", "the included file oci://r.io/ollama is not in the tree"),
        ("['${X}/x.yaml']", "'${X}/x.yaml'", "the included file ${X}/x.yaml is not known"),
        ("[{path: [there.yaml, x.yaml]}]", "x.yaml", "the included file x.yaml is not in the tree"),
        ("[{path: {a: b}}]", "{a: b}", "the included file is not text"),
    ],
)
def test_an_included_file_that_is_not_there_is_undecided(include: str, place: str, reason: str) -> None:
    subject = only(read(Compose(), "compose.yaml", f"include: {include}\n", there_DOT_yaml="services: {}\n"))
    assert (at(subject), subject.unknown, subject.settings) == (place, Unknown(reason), {})


@pytest.mark.parametrize(
    "include", ["", "x.yaml", "{a: b}", "[]", "[~]", "[[]]", "[{path: []}]", "[{env_file: x}]", "*x"]
)
def test_an_include_that_is_none_leads_nowhere(include: str) -> None:
    text = f"x: &x [{{}}]\ninclude: {include}\n"
    assert read(Compose(), "compose.yaml", text) == []


def test_paths_in_an_included_file_begin_at_the_project_directory() -> None:
    text = "services:\n  llm:\n    extends: {file: base.yaml, service: base}\n    env_file: a.env\n"
    base = "services: {base: {image: ollama/ollama}}\n"
    above = "include: [{path: ai/x.yaml, project_directory: p}]\n"
    others = {"compose_DOT_yaml": above, "p__base_DOT_yaml": base, "p__a_DOT_env": "OLLAMA_A=1\n"}
    subject = only(read(Compose(), "ai/x.yaml", text, **others))
    assert (facts(subject), subject.unknown) == ({**_IMAGE, "OLLAMA_A": ("1", "1")}, None)


def test_a_service_extends_one_that_is_included() -> None:
    text = "include: [ai/y.yaml]\nservices: {mine: {extends: llm, environment: {OLLAMA_B: b}}}\n"
    others = {"ai__y_DOT_yaml": "include: [x.yaml]\n", "ai__x_DOT_yaml": INCLUDED, "ai___DOT_env": "A=beside\n"}
    subject = only(read(Compose(), "compose.yaml", text, **others))
    assert facts(subject).keys() == {IMAGE, "OLLAMA_A", "OLLAMA_B"}
    assert (subject.value("OLLAMA_A"), subject.unknown, subject.address) == ("beside", None, "service mine")
    assert subject.settings[IMAGE].file.path == "ai/x.yaml"


def test_an_override_of_an_included_service_is_reported_with_it() -> None:
    over = "services: {llm: {environment: [OLLAMA_A=over]}}\n"
    others = {"compose_DOT_yaml": "include: [ai/x.yaml]\n", "ai__x_DOT_yaml": INCLUDED}
    assert read(Compose(), "compose.override.yaml", over, **others) == []
    assert facts(only(read(Compose(), "compose.gpu.yaml", over, **others)))["OLLAMA_A"] == ("over", "over")
    others["compose_DOT_yaml"] = "include: [{path: [ai/x.yaml, ai/over.yaml]}]\n"
    assert read(Compose(), "ai/over.yaml", over, **others) == []
