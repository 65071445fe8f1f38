"""Shell scripts: servers that they start or set up, and calls of Ollama's API that they make.

Read from the syntax tree; nothing is run. What only a run could tell (commands, other scripts' variables) is Unknown.
"""

import re
from collections.abc import Iterator
from typing import Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import ENDPOINT, Insertion, Kind, Setting, SourceFile, Span, Style, Subject, Unknown
from ollama_policy.sources.common.calls import is_call, may_call
from ollama_policy.sources.common.container_command import container_server
from ollama_policy.sources.common.env_files import Dialect, own_env_file, shared_variables
from ollama_policy.sources.common.environment import REFERENCE, SERVER_ONLY, Lookup, value_of
from ollama_policy.sources.common.kept import Kept, OfTree
from ollama_policy.sources.common.request_body import PATH, body_settings
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.dockerfile import read_dockerfile
from ollama_policy.sources.modelfile import read_modelfile
from ollama_policy.sources.shell.script import Command, Script, read_script, words_of
from ollama_policy.sources.syntax.placed_text import PlacedText, Word
from ollama_policy.sources.systemd import read_unit

_SHEBANG: Final = re.compile(rb"#![^\n]*\b(?:ba|da|k|z|a)?sh\b")
_SUFFIXES: Final = (".sh", ".bash", ".zsh", ".ksh")
_NAMES: Final = re.compile(r"\.?(?:bashrc|zshrc|bash_profile|zprofile|zshenv|profile)")
# What runs the rest of its words: its options that take a value, and how many words come before the program.
_OPTIONS: Final = {
    "sudo": ("ugUhpCDRT", 0),
    "doas": ("uC", 0),
    "env": ("uCS", 0),
    "exec": ("a", 0),
    "nice": ("n", 0),
    "ionice": ("cn", 0),
    "timeout": ("ks", 1),
    "stdbuf": ("ioe", 0),
    "gosu": ("", 1),
    "runuser": ("ug", 0),
    "numactl": ("NmCip", 0),
    "taskset": ("", 1),
}
_SUDO_VARIABLES: Final = frozenset(("$SUDO", "${SUDO}", "$SUDO_CMD", "${SUDO_CMD}"))
_KEEPS: Final = ("-E", "--preserve-env")
_WRAPPERS: Final = frozenset(("nohup", "setsid", "command", "time", *_OPTIONS))
_SHELLS: Final = frozenset(("sh", "bash", "zsh", "dash", "ash", "su"))
_REMOTE: Final = frozenset(("ssh", "docker", "podman", "kubectl", "incus", "lxc", "multipass", "wsl"))
_DATA: Final = frozenset(("-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json"))
_FILLED: Final = re.compile(rb"(?<!\\)(?:\$[A-Za-z_{(]|`)")
_TARGET: Final = re.compile(r"""(?:>{1,2}\s*|\btee\s+(?:-\S+\s+)*)["']?([^\s"'<>|;&]+)""")
_UNIT: Final = re.compile(rb"^\s*\[(?:Service|Container)\]", re.MULTILINE)
_DEPTH: Final = 3  # of scripts in scripts
_BYTES_OF_A_STEP: Final = 8


class Shell:
    """Exports and prefixes of `ollama serve`, `docker run`, here-documents, `ollama run`, curl."""

    name = "shell"

    def accepts(self, file: SourceFile) -> bool:
        name = file.path.rpartition("/")[2]
        if not (name.endswith(_SUFFIXES) or _NAMES.fullmatch(name) or _SHEBANG.match(file.data)):
            return False
        return may_call(file.data.lower())

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        try:
            file.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError(error.start, "bytes that are not UTF-8", "UTF-8") from None
        mark = 3 if file.data.startswith(b"\xef\xbb\xbf") else 0
        yield from _subjects(PlacedText.at(file.data[mark:], mark), file, tree, _DEPTH)


def _subjects(text: PlacedText, file: SourceFile, tree: Tree, depth: int) -> Iterator[Subject]:
    script = read_script(text, file)
    has_server = False
    for command in script.commands:
        for subject in _of_command(command, script, tree, depth):
            has_server |= subject.kind is Kind.SERVER and not subject.address.startswith("launchctl")
            yield subject
    if not has_server:
        yield from _exports(script)
    for error in script.errors:
        # The grammar does not know every shell: what is not about Ollama is passed over.
        if b"ollama" in file.data[error.start : error.end].lower():
            raise UnreadableError(error.start, "text that is not a shell command")


def _of_command(command: Command, script: Script, tree: Tree, depth: int) -> Iterator[Subject]:
    words, given, is_sudo = _unwrapped(command)
    if not words:
        return
    texts = [word.text.text for word in words]
    program = texts[0].rpartition("/")[2]
    if program == "ollama" and texts[1:2] == ["serve"]:
        yield _server(command, words, given, is_sudo, script, tree)
    elif program == "ollama" and texts[1:2] == ["run"]:
        yield from _run(command, words, script)
    elif program == "curl":
        yield from _curl(command, words, script, tree)
    elif program == "launchctl" and texts[1:2] == ["setenv"] and len(words) == 4 and texts[2] in SERVER_ONLY:
        span = Span(words[0].span.start, words[1].span.end)
        subject = Subject(Kind.SERVER, f"launchctl setenv {texts[2]}", script.file, span, Style.BARE)
        subject.is_open = True
        subject.add(_valued(texts[2], words[3], command, script))
        yield subject
    else:
        server = container_server(words, script.file, tree, _lookup(command, script))
        if server is not None:
            yield server
            return
    if depth and program in _SHELLS | _REMOTE:
        for word in words[1:]:
            written = script.file.data[word.span.start : word.span.end]
            is_script = written[:1] == b"'" and written[-1:] == b"'" and b"'" not in written[1:-1]
            if is_script and may_call(written.lower()):
                yield from _subjects(PlacedText.at(written[1:-1], word.span.start + 1), script.file, tree, depth - 1)
    if command.document is not None:
        yield from _documents(command, program, script, tree, depth)


def _unwrapped(command: Command) -> tuple[list[Word], list[Word], bool]:
    """The words from the program that does the work on, the assignments on the way, and whether sudo drops exports."""
    every, given, is_sudo, at = command.words, list(command.prefix), False, 0
    last_kept = max((i for i, word in enumerate(every) if word.text.text.startswith(_KEEPS)), default=-1)
    while at < len(every):
        name = every[at].text.text.rpartition("/")[2]
        if name.upper() in _SUDO_VARIABLES and len(every) - at > 1:
            at += 1
            is_sudo, given = True, []
            continue
        if name not in _WRAPPERS:
            break
        if name in ("sudo", "doas") and last_kept < at:
            is_sudo, given = True, []
        at += 1
        values, arguments = _OPTIONS.get(name, ("", 0))
        while at < len(every):
            text = every[at].text.text
            is_assignment = every[at].assignment() is not None and not text.startswith("-")
            if is_assignment:
                given.append(every[at])
            elif text.startswith("-"):
                if len(text) == 2 and text[1] in values and len(every) - at > 1:
                    at += 1
            elif arguments:
                arguments -= 1
            else:
                break
            at += 1
    return every[at:], given, is_sudo


def _lookup(command: Command, script: Script) -> Lookup:
    return script.lookup(command.span.start, command.branch)


def _valued(key: str, word: Word, command: Command, script: Script) -> Setting:
    return value_of(key, word.text, word.span, script.file, "", _lookup(command, script))


def _server(
    command: Command, words: list[Word], given: list[Word], is_sudo: bool, script: Script, tree: Tree
) -> Subject:
    span = Span(words[0].span.start, words[1].span.end)
    insertion = None if is_sudo else Insertion(command.span.start, "", "=", " ")
    subject = Subject(Kind.SERVER, "ollama serve", script.file, span, Style.BARE, insertion=insertion)
    exported = script.environment(command.span.start, command.branch)
    if is_sudo and exported:
        subject.unknown = Unknown("sudo may drop what is exported")
    elif not is_sudo:
        for sourced in script.sourced:
            if sourced.at < command.span.start:
                _source(sourced.path, sourced.exports_all, subject, script, tree)
        for setting in exported.values():
            subject.add(setting)
    for word in given:
        assignment = word.assignment()
        if assignment is not None:
            name, value, place = assignment
            setting = value_of(name, value, place, script.file, "", _lookup(command, script))
            subject.add(setting)
    return subject


def _source(path: str, exports_all: bool, subject: Subject, script: Script, tree: Tree) -> None:
    found = tree.sibling(subject.file, path.removeprefix("./")) if "$" not in path and exports_all else None
    if found is None:
        subject.unknown = Unknown(f"what {path} exports is not known")
        return
    script.budget.spend(len(found.data), subject.span.start)
    for setting in shared_variables(found, tree, Dialect.DOTENV, f". {path}", subject.span.start):
        subject.add(setting)


def _exports(script: Script) -> Iterator[Subject]:
    """Variables of a server that a profile exports for whatever is started after it."""
    end = len(script.file.data)
    exported = {name: setting for name, setting in script.environment(end, ()).items() if name.startswith("OLLAMA_")}
    if exported.keys() & SERVER_ONLY:
        first = min(exported.values(), key=lambda setting: setting.span.start)
        line = script.file.data.rfind(b"\n", 0, first.span.start) + 1
        subject = Subject(Kind.SERVER, "exports", script.file, Span(line, first.span.start), Style.BARE)
        subject.is_open = True  # by what starts the server
        for setting in exported.values():
            subject.add(setting)
        yield subject


def _run(command: Command, words: list[Word], script: Script) -> Iterator[Subject]:
    span = Span(words[0].span.start, words[1].span.end)
    subject = Subject(Kind.REQUEST, "ollama run", script.file, span, Style.BARE)
    subject.add(Setting(ENDPOINT, "ollama run", span, script.file, is_literal=False))
    at = 2
    while at < len(words):
        word = words[at]
        text = word.text.text
        at += 1
        if text.startswith("--keepalive="):
            assignment = word.assignment()
            assert assignment is not None  # it has an `=`
            setting = value_of("keep_alive", assignment[1], assignment[2], script.file, "", _lookup(command, script))
            subject.add(setting)
        elif text == "--keepalive" and at < len(words):
            subject.add(_valued("keep_alive", words[at], command, script))
            at += 1
        elif text in ("--format", "--think", "--dimensions"):
            at += 1
        elif not text.startswith("-") and "model" not in subject.settings:
            subject.add(_valued("model", word, command, script))
    if "model" in subject.settings:
        subject.address = f"ollama run {subject.settings['model'].written}"
        yield subject


def _curl(command: Command, words: list[Word], script: Script, tree: Tree) -> Iterator[Subject]:
    url: Word | None = None
    endpoint: Setting | None = None
    body: PlacedText | None = None
    bodies = 0
    for index, word in enumerate(words[1:], 1):
        path = PATH.search(word.text.data.rstrip(b"/"))
        option, equals, _ = word.text.text.partition("=")
        value = None
        if word.text.text in _DATA and index + 1 < len(words):
            value = words[index + 1].text
        elif equals and option in _DATA and option.startswith("--"):
            value = word.text.cut(len(option) + 1)
        elif option.startswith("-d") and not option.startswith("--") and len(option) > 2:
            value = word.text.cut(2)
        elif path is not None and words[index - 1].text.text not in _DATA:
            place = word.text.cut(*path.span())
            url, endpoint = word, Setting(ENDPOINT, place.text, place.span, script.file, is_literal=False)
        if value is not None:
            body, bodies = value, bodies + 1
    if url is None or endpoint is None or body is None:
        return
    subject = Subject(Kind.REQUEST, f"curl {endpoint.value}", script.file, endpoint.span, Style.JSON)
    subject.add(endpoint)
    _add_body(subject, body, bodies, command, script, tree)
    if is_call(url.text.data, subject.settings):
        yield subject


def _add_body(subject: Subject, body: PlacedText, bodies: int, command: Command, script: Script, tree: Tree) -> None:
    file, known = script.file, _lookup(command, script)
    lookup: Lookup | None = known
    reference = REFERENCE.fullmatch(body.data)
    variable = known((reference["bare"] or reference["name"]).decode()) if reference is not None else None
    if isinstance(variable, Setting):
        # The variable holds the body, maybe with references in it: read where it is given its value.
        script.budget.spend((variable.span.end - variable.span.start) // _BYTES_OF_A_STEP, command.span.start)
        parts = words_of(PlacedText.at(file.data[variable.span.start : variable.span.end], variable.span.start))
        body = parts[0].text if len(parts) == 1 else body
    where = body.text
    if bodies > 1:
        subject.unknown = Unknown("its body is put together from several parts")
        return
    if where == "@-" and command.document is not None:
        body = command.document.body
        lookup = None if command.document.is_quoted else lookup
    elif where.startswith("@"):
        found = tree.sibling(file, where[1:]) if "$" not in where and not where.startswith("@-") else None
        if found is None:
            subject.unknown = Unknown(f"its body {where[1:]} is not in the tree")
            return
        file, lookup = found, None
    try:
        settings = _BODIES.of(tree).of(file) if file is not script.file else list(body_settings(body, file, lookup))
    except UnreadableError as error:
        subject.unknown = Unknown(f"its body is not read: {error}")
        return
    for one in settings:
        subject.add(Setting(one.key, one.value, one.span, one.file, one.origin, one.is_literal))


def _body(file: SourceFile) -> list[Setting]:
    return list(body_settings(PlacedText.at(file.data, 0), file, None))


_BODIES: Final = OfTree(lambda _: Kept(_body))


def _documents(command: Command, program: str, script: Script, tree: Tree, depth: int) -> Iterator[Subject]:
    """What a here-document writes into a file, or gives to a shell."""
    document = command.document
    if document is None:
        return
    body, file = document.body, script.file
    script.budget.spend(len(body.data), command.span.start)
    if depth and program in _SHELLS | {"ssh"} and document.is_quoted and may_call(body.data.lower()):
        yield from _subjects(body, file, tree, depth - 1)
        return
    targets = [target for target in _TARGET.findall(document.head) if target != "/dev/null"]
    if program not in ("cat", "tee") or not targets:
        return
    written = PlacedText.at(targets[-1].encode(), 0)
    resolved = value_of("", written, written.span, file, "", _lookup(command, script)).value
    path = resolved if isinstance(resolved, str) else targets[-1]
    name = path.rpartition("/")[2]
    filled = None if document.is_quoted else _FILLED
    if _UNIT.search(body.data):
        yield from read_unit(body.data, file, body.place, _address(path), path=path, filled=filled)
    elif name.lower().startswith(("dockerfile", "containerfile")) and document.is_quoted:
        yield from read_dockerfile(body.data, file, body.place, name)
    elif name.lower().startswith("modelfile"):
        yield from read_modelfile(body.data, file, body.place, name)
    elif depth and name.endswith(_SUFFIXES) and document.is_quoted and may_call(body.data.lower()):
        yield from _subjects(body, file, tree, depth - 1)
    else:
        yield from own_env_file(path, body, file, filled)


def _address(path: str) -> str:
    """A unit's name, for it and for its drop-ins."""
    drop_in = re.search(r"([^/]+\.service)\.d/[^/]+$", path)
    return drop_in[1] if drop_in is not None else path.rpartition("/")[2]
