"""Writes the JSON Schemas of our configuration, reports and snapshots: `python -m ollama_policy.schemas
FOLDER`.

Editors that know TOML schemas take the first by a line `#:schema PATH` at the top of ollama-policy.toml.
"""

import json
import sys
from pathlib import Path

from ollama_policy.commands.bench import table as bench_table
from ollama_policy.commands.fit import text as fit_text
from ollama_policy.commands.logs import report as logs_report
from ollama_policy.commands.probe import account as probe_account
from ollama_policy.commands.reclaim import reloading
from ollama_policy.commands.reclaim import report as reclaim_report
from ollama_policy.commands.remedies import text as remedies_text
from ollama_policy.formats import json_report
from ollama_policy.live import snapshot
from ollama_policy.pipeline import configuration


def files() -> dict[str, str]:
    """Every generated file's name and text."""
    schemas = {
        "ollama-policy-bench.schema.json": bench_table.schema(),
        "ollama-policy-configuration.schema.json": configuration.schema(),
        "ollama-policy-fit.schema.json": fit_text.schema(),
        "ollama-policy-logs.schema.json": logs_report.schema(),
        "ollama-policy-probe.schema.json": probe_account.schema(),
        "ollama-policy-reclaim.schema.json": reclaim_report.schema(),
        "ollama-policy-reload.schema.json": reloading.schema(),
        "ollama-policy-remedies.schema.json": remedies_text.schema(),
        "ollama-policy-report.schema.json": json_report.schema(),
        "ollama-policy-snapshot.schema.json": snapshot.schema(),
    }
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


if __name__ == "__main__":
    for file_name, text in files().items():
        (Path(sys.argv[1]) / file_name).write_text(text, encoding="utf-8")
