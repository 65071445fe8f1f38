"""Trees to check, made the same each time: 1,000 files of declarations, and a monorepo where ten files matter."""

from __future__ import annotations

from pathlib import Path

FILES = 1000
BLOCKS = 5
VIOLATIONS = 735
MONOREPO_FILES = 20_000
MATTERING = 10

_SYSTEM = "You answer in one sentence, in the language of the question."
# What stands under a block's name and memory_management, in turn; all of it is valid.
_REST = (
    '  on_destroy        = "unload"\n  pull_policy       = "missing"\n  insecure          = false\n',
    '  pull_policy       = "missing"\n  # Loads once, at the first question of the day.\n',
    f'  base              = "base-{{0}}:1b"\n  system            = "{_SYSTEM}"\n\n'
    "  parameters = {{\n    num_ctx     = 8192\n    temperature = 0.7\n  }}\n",
    '  digest            = "sha256:{0:064x}"\n',
    '  on_destroy        = "keep"\n\n  timeouts {{\n    pull = "30m"\n    load = "5m"\n  }}\n',
)

# A file of each kind that the checker opens, and none of them is about Ollama.
_OTHERS = {
    "py": "def handler_{0}(event: dict) -> int:\n    total = sum(event.get('items', []))\n    return total + {0}\n\n\n",
    "yaml": "- name: job-{0}\n  image: registry.example/team/app:{0}\n  env:\n    - {{name: LEVEL, value: info}}\n",
    "tf": 'resource "null_resource" "n{0}" {{\n  triggers = {{\n    number = "{0}"\n  }}\n}}\n\n',
    "json": '{{"id": {0}, "tags": ["a", "b"], "nested": {{"of": {0}, "on": true}}}}\n',
    "sh": "echo 'step {0}'\nexport LEVEL_{0}=info\ncp -r build/{0} dist/{0}\n",
}


def declarations(folder: Path) -> int:
    """`FILES` files of `BLOCKS` blocks, `VIOLATIONS` of which are automatic with no bound. Returns their bytes."""
    folder.mkdir(parents=True)
    size, total = 0, FILES * BLOCKS
    for index in range(FILES):
        blocks = []
        for at in range(BLOCKS):
            number = index * BLOCKS + at
            is_bad = number * VIOLATIONS // total != (number + 1) * VIOLATIONS // total
            blocks.append(_block(number, _REST[(number + index) % len(_REST)], "automatic" if is_bad else "manual"))
        text = "\n".join(blocks)
        (folder / f"models_{index:04}.tf").write_text(text)
        size += len(text)
    return size


def clean_file(folder: Path) -> Path:
    """One file of `BLOCKS` blocks with nothing to say about them."""
    folder.mkdir(parents=True)
    path = folder / "models.tf"
    path.write_text("\n".join(_block(number, _REST[number], "manual") for number in range(BLOCKS)))
    return path


def _block(number: int, rest: str, mode: str) -> str:
    head = f'  name              = "example-model-{number}"\n  memory_management = "{mode}"\n'
    return f'resource "ollama_model" "model_{number}" {{\n{head}{rest.format(number)}}}\n'


def monorepo(folder: Path) -> int:
    """`MONOREPO_FILES` files of kinds that are opened, `MATTERING` of them with declarations. Returns the bytes."""
    size = 0
    kinds = list(_OTHERS)
    for index in range(MONOREPO_FILES):
        place = folder / f"team{index % 20:02}" / f"service{index % 400:03}"
        if index < 400:
            place.mkdir(parents=True)
        if index % (MONOREPO_FILES // MATTERING) == 0:
            text = _block(index, _REST[0], "manual")
            path = place / f"models_{index}.tf"
        else:
            kind = kinds[index // 400 % len(kinds)]
            text = "".join(_OTHERS[kind].format(line) for line in range(5 + index * 7 % 30))
            path = place / f"file_{index}.{kind}"
        path.write_text(text)
        size += len(text)
    return size
