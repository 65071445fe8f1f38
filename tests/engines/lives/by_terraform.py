"""Real Terraform as the engine of a life."""

from collections.abc import Mapping

from tests.engines.lives.world import Applied, Kill, Values, full
from tests.engines.running import killed_after
from tests.engines.terraform_stack import TerraformStack, configuration

PROVIDER = 'provider "ollama" {}\n'  # so that it is installed where nothing is declared, too
SECONDS_A_REQUEST = 0.15  # about what an apply takes for each, its own start included


class TerraformEngine:
    """A configuration and its state. A kill comes after a time, to Terraform and the provider together."""

    can_adopt = True

    def __init__(self, stack: TerraformStack) -> None:
        self.stack = stack
        self._declared: dict[str, Values] = {}

    def known(self) -> dict[str, str]:
        shown = self.stack.state()
        return {address.rpartition(".")[2]: full(values["name"]) for address, values in shown.items()}

    def adopt(self, key: str, name: str) -> None:
        self._declared[key] = {"name": name}
        self.stack.configure(PROVIDER + configuration(**self._declared))
        self.stack.run("import", "-input=false", f"ollama_model.{key}", name)

    def apply(self, declared: Mapping[str, Values], kill: Kill | None = None) -> Applied:
        self._declared = dict(declared)
        self.stack.configure(PROVIDER + configuration(**declared))
        if kill is None:
            done = self.stack.apply(check=False)
            failures = {"": "; ".join(error.summary + ": " + error.detail for error in done.errors)}
            return Applied(failures if done.returncode else {})
        running = self.stack.start("apply", "-auto-approve")
        was_killed = killed_after(running, kill.request * SECONDS_A_REQUEST)
        self.stack.close()
        if was_killed:
            return Applied(was_killed=True)
        return Applied({"": running.outcome().text} if running.returncode else {})
