"""Files and folders, read once: what is checked, what is compared with a server and what fits are then one moment."""

from collections.abc import Sequence
from functools import cached_property

from ollama_policy.live.declared import Declarations, declarations
from ollama_policy.pipeline.check import Options, read_all
from ollama_policy.pipeline.discover import Workspace
from ollama_policy.pipeline.gitignore import IgnoreFile, relative_to


class Tree:
    """What `paths` hold, less what the configuration leaves out. Every file is read when this is made."""

    def __init__(self, paths: Sequence[str], options: Options) -> None:
        configuration = options.configuration
        left_out = configuration.exclude
        exclude = [IgnoreFile(left_out, relative_to(configuration.folder))] if left_out else []
        self.paths, self.options = tuple(paths), options
        self.workspace = Workspace(paths, exclude=exclude, overlay=options.overlay)
        self.readings = read_all(self.workspace, options.progress)

    @cached_property
    def declared(self) -> Declarations:
        """Each declared model once."""
        return declarations(self.readings, self.workspace)
