"""Real Pulumi, with the dynamic resource, as the engine of a life."""

from collections.abc import Mapping

from tests.engines.lives.world import Applied, Kill, Values, full
from tests.engines.programs import program
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.running import killed_after

SECONDS_A_REQUEST = 0.2  # about what an `up` takes for each, its own start included


class PulumiEngine:
    """A program and its stack. A kill comes after a time, to Pulumi and the providers together."""

    can_adopt = False  # a dynamic resource cannot be imported

    def __init__(self, stack: PulumiStack) -> None:
        self.stack = stack

    def known(self) -> dict[str, str]:
        resources = self.stack.export()["deployment"].get("resources") or []
        models = [one for one in resources if one["type"].endswith(":Model") and not one.get("delete")]
        return {one["urn"].rpartition("::")[2]: full(one["inputs"]["name"]) for one in models}

    def adopt(self, key: str, name: str) -> None:
        raise NotImplementedError

    def apply(self, declared: Mapping[str, Values], kill: Kill | None = None) -> Applied:
        self.stack.set_program(program(**declared))
        # What a client did is seen by a refresh alone, as Terraform does by itself.
        if (seen := self.stack.refresh(check=False)).returncode:
            return Applied({"": seen.text})
        if kill is None:
            done = self.stack.up(check=False)
            return Applied({"": done.text} if done.returncode else {})
        running = self.stack.start("up", "--yes", "--skip-preview")
        was_killed = killed_after(running, kill.request * SECONDS_A_REQUEST)
        self.stack.close()
        if was_killed:
            self.stack.unlock()
            return Applied(was_killed=True)
        return Applied({"": running.outcome().text} if running.returncode else {})
