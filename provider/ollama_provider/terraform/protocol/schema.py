"""What a resource, a data source or the provider takes and gives, for Terraform, its documentation and its checks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ollama_provider.terraform.protocol import tfplugin6_pb2 as wire
from ollama_provider.terraform.protocol.values import Type, object_of


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute. `optional` with `computed`: the provider fills in what the configuration leaves out."""

    type: Type
    description: str
    required: bool = False
    optional: bool = False
    computed: bool = False
    sensitive: bool = False


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The attributes by name, and the blocks that may stand once each, such as `timeouts`."""

    description: str
    attributes: Mapping[str, Attribute]
    blocks: Mapping[str, "Schema"] = field(default_factory=dict)
    version: int = 0

    @cached_property
    def type(self) -> Type:
        own = {name: attribute.type for name, attribute in self.attributes.items()}
        return object_of(own | {name: block.type for name, block in self.blocks.items()})

    def to_wire(self) -> wire.Schema:
        return wire.Schema(version=self.version, block=self._block())

    def _block(self) -> wire.Schema.Block:
        return wire.Schema.Block(
            version=self.version,
            description=self.description,
            description_kind=wire.MARKDOWN,
            attributes=[
                wire.Schema.Attribute(
                    name=name,
                    type=json.dumps(attribute.type).encode(),
                    description=attribute.description,
                    description_kind=wire.MARKDOWN,
                    required=attribute.required,
                    optional=attribute.optional,
                    computed=attribute.computed,
                    sensitive=attribute.sensitive,
                )
                for name, attribute in self.attributes.items()
            ],
            block_types=[
                wire.Schema.NestedBlock(
                    type_name=name, block=block._block(), nesting=wire.Schema.NestedBlock.NestingMode.SINGLE
                )
                for name, block in self.blocks.items()
            ],
        )
