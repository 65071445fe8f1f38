"""The property by which a Pulumi program tells the provider's process what else it declares.

Pulumi itself comes to a resource only when those that it depends on are done. The provider hears of the property in
`check`, and takes it out: no state has it.
"""

from typing import Final

DECLARED_BESIDE: Final = "declared_beside"
TOLD: Final = ("name", "base", "host", "memory_management", "resident")  # of each declaration
TELLING: Final = 50  # resources that have the property: the first that is checked tells all, and each carries all
