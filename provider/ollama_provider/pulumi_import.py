"""What `pulumi import` of an `OllamaModel` ends in. Imports nothing of Pulumi: `ollama_iac.pth` starts it.

Pulumi cannot import a dynamic resource: an import gives a type and an id, and the host of dynamic providers finds a
provider in a resource's properties alone. So it fails, with a traceback, before anything of this package is loaded. The
one line of `ollama_iac.pth` runs at the start of each Python of an environment, and imports this in that host only.
"""

import sys
import traceback
from types import FrameType

NO_IMPORT = (
    "This is a dynamic resource, which Pulumi cannot import. Declare the model without an import: the first "
    "`pulumi up` takes over what is on the server as it stands, without a pull or a load. "
    "`ollama-policy adopt --engine pulumi` writes the declarations."
)
_TYPE = "dynamic/ollama:Model"
_NO_PROVIDER = ("__provider",)
_format_exc = traceback.format_exc


def explain() -> None:
    """Makes this process, the host of dynamic providers, say NO_IMPORT in place of its traceback."""
    traceback.format_exc = _explained


def _explained(limit: int | None = None, chain: bool = True) -> str:
    error = sys.exception()
    if isinstance(error, KeyError) and error.args == _NO_PROVIDER and _TYPE in _urn(sys._getframe(1)):
        return NO_IMPORT
    return _format_exc(limit, chain)


def _urn(frame: FrameType | None) -> str:
    """Of the resource that the host was asked for, as its call has it."""
    while frame is not None and "request" not in frame.f_locals:
        frame = frame.f_back
    return str(getattr(frame.f_locals["request"], "urn", "")) if frame is not None else ""
