"""A provider that has nothing to do with Ollama: what a second resource, a data source and a function cost."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_provider.terraform.protocol.provider import (
    DataSource,
    Diagnostic,
    DiagnosticsError,
    Function,
    FunctionArgumentError,
    Parameter,
    Plan,
    Private,
    Provider,
    Resource,
    Result,
    Values,
)
from ollama_provider.terraform.protocol.schema import Attribute, Schema
from ollama_provider.terraform.protocol.values import DYNAMIC, NUMBER, STRING, UNKNOWN, list_of


class Shelf(Resource):
    """Things by name, in memory."""

    name = "toy_thing"
    schema = Schema(
        description="A thing on a shelf.",
        attributes={
            "name": Attribute(type=STRING, description="Its name.", required=True),
            "weights": Attribute(type=list_of(NUMBER), description="Its weights.", optional=True),
            "note": Attribute(type=DYNAMIC, description="Anything.", optional=True),
            "place": Attribute(type=NUMBER, description="Where it stands.", computed=True),
        },
        blocks={"box": Schema(description="It.", attributes={"size": Attribute(type=STRING, description="Its size.")})},
        version=3,
    )

    def __init__(self) -> None:
        self.things: dict[str, Values] = {}
        self.seen: list[Any] = []

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        if config["name"] == "bad":
            return [Diagnostic("Bad box", path=("box", "size")), Diagnostic("Bad weight", "why", ("weights", 1))]
        return [Diagnostic("Heavy", is_warning=True)] if config["weights"] else []

    async def plan(self, prior: Values | None, config: Values, private: Private) -> Plan:
        self.seen.append(private)
        if prior is None:
            return Plan(config | {"place": UNKNOWN}, private={"planned": config["name"]})
        return Plan(config | {"place": prior["place"]}, [("name",)] if prior["name"] != config["name"] else (), private)

    async def create(self, planned: Values, config: Values) -> Result:
        if config["name"] == "slow":
            await asyncio.sleep(60)
        if config["name"] == "half":
            return Result({"name": "half"}, {"is": "half"}, [Diagnostic("Only half of it")])
        self.things[config["name"]] = planned | {"place": len(self.things)}
        return Result(self.things[config["name"]], {"made": [1, None]})

    async def update(self, prior: Values, planned: Values, config: Values, private: Private) -> Result:
        raise DiagnosticsError(Diagnostic("It is nailed down", path=("name",)))

    async def plan_destroy(self, prior: Values, private: Private) -> Plan:
        return Plan(None, private={"goes": prior["name"]}, diagnostics=[Diagnostic("It will go", is_warning=True)])

    async def delete(self, prior: Values, private: Private) -> Sequence[Diagnostic]:
        self.seen.append(private)
        del self.things[prior["name"]]
        return [Diagnostic("It went", is_warning=True)]

    async def read(self, state: Values, private: Private) -> Result:
        self.seen.append(private)
        return Result(self.things.get(state["name"]), private)

    async def adopt(self, import_id: str) -> Values:
        if import_id not in self.things:
            raise DiagnosticsError(Diagnostic("There is none"))
        return self.things[import_id]

    def upgrade(self, version: int, state: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**state, "name": state["title"]} if version == 1 else state

    def take_over(self, source_type: str, state: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return state if source_type == "toy_item" else None


class Count(DataSource):
    name = "toy_count"
    schema = Schema(description="How many.", attributes={"n": Attribute(type=NUMBER, description="n", computed=True)})

    async def read(self, config: Values) -> Values:
        return {"n": 2**70}


class Twice(Function):
    name = "twice"
    summary = "Twice a number"
    description = "Of numbers up to 100."
    parameters = (Parameter("number", NUMBER, "It."), Parameter("times", NUMBER, "How often.", allows_null=True))
    returns = NUMBER

    def call(self, number: int, times: int | None) -> int:
        if number > 100:
            raise FunctionArgumentError(0, "more than 100")
        return number << (times or 1)


class ToyProvider(Provider):
    schema = Schema(
        description="Toys.", attributes={"key": Attribute(type=STRING, description="A key.", optional=True)}
    )

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.resources, self.data_sources, self.functions = (self.shelf,), (Count(),), (Twice(),)

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        return [Diagnostic("No key", path=("key",))] if config["key"] == "" else []

    def configure(self, config: Values) -> None:
        if config["key"] == "lost":
            raise DiagnosticsError(Diagnostic("The key is lost"))

    async def close(self) -> None: ...
