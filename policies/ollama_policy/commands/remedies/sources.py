"""What files declare for one server: models, the server's own variables, and the edits that fixes would make."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ollama_policy.commands.remedies.facts import Declarations, Edit, Settings
from ollama_policy.errors import CannotLookError
from ollama_policy.formats.writing import place_of
from ollama_policy.live.assignment import ServerAssignment
from ollama_policy.live.project import Tree
from ollama_policy.live.reclaimable import Intent, intent_of
from ollama_policy.model.result import Reported, Result, Unreadable
from ollama_policy.model.rule import Target
from ollama_policy.model.servers import number, said, text
from ollama_policy.model.settings import IMAGE, Kind, Subject
from ollama_policy.pipeline.check import Options, judged
from ollama_policy.text.escaping import shown, shown_path
from ollama_provider.ollama.settings.llama_arguments import whole


class Sources(NamedTuple):
    """What the files declare, and what they want of memory: a model that may be declared resident is protected."""

    declared: Declarations = Declarations()
    intent: Intent = Intent()


def read(paths: Sequence[str], options: Options, url: str) -> Sources:
    """What the files declare for the server. Raises CannotLookError where one of them cannot be read."""
    if not paths:
        return Sources()
    tree = Tree(paths, options)
    result = judged(tree.workspace, tree.readings, options)
    _refuse([*result.unreadable, *tree.declared.problems])
    if not result.searched:
        raise CannotLookError(f"{' '.join(map(shown_path, paths))}: there is no file to look at")
    return of_tree(tree, result, url)


def of_tree(tree: Tree, result: Result, url: str) -> Sources:
    """What a tree that was read and judged declares for the server."""
    found = tree.declared
    assignment = ServerAssignment(found.models, [url])
    servers = [subject for reading in tree.readings for subject in reading.subjects if subject.kind is Kind.SERVER]
    declared = Declarations(
        assignment.by_url[url],
        frozenset(one.model_name for one in assignment.lost),
        found.is_complete,
        _settings(servers, tree.options.configuration.target),
        tuple(_edits(result.findings)),
    )
    return Sources(declared, intent_of(found.models, url, with_undeclared=False))


def _refuse(problems: Sequence[Unreadable]) -> None:
    if problems:
        first = problems[0]
        raise CannotLookError(f"{shown_path(first.path)}: {shown(first.message)}")


def _settings(servers: Sequence[Subject], target: Target) -> Settings:
    """Of the one server that is declared: of several nobody says which one answers."""
    if len(servers) != 1:
        return Settings()
    [server] = servers
    cache = text(said(server, "LLAMA_ARG_CACHE_RAM", target))
    return Settings(
        f"{place_of(server.file, server.file.position(server.span.start))}",
        number(server, "OLLAMA_NUM_PARALLEL", target),
        text(said(server, "OLLAMA_KV_CACHE_TYPE", target)) or None,
        whole(cache),
        IMAGE in server.settings,
    )


def _edits(findings: Iterable[Reported]) -> Iterable[Edit]:
    for reported in findings:
        finding = reported.finding
        for fix in finding.fixes:
            if fix.edits:
                place = place_of(fix.edits[0].file, fix.edits[0].file.position(fix.edits[0].span.start))
                yield Edit(finding.rule.id, place, fix.title, finding.address, fix.is_safe)
