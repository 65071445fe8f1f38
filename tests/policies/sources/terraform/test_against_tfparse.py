"""Whatever is decided here is what another evaluator (tfparse, over HashiCorp's own parser) decides too."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.policies.sources.terraform.generated import module
from tests.policies.sources.terraform.module_of import subjects_of


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, 9)
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return {key: _rounded(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_the_same_instances_and_values(seed: int, tmp_path: Path) -> None:
    if find_spec("tfparse") is None:
        pytest.xfail("tfparse is not installed, so nothing was compared: pip install tfparse")
    tfparse = import_module("tfparse")
    files = module(seed)
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(str(text))
    parsed = tfparse.load_from_path(str(tmp_path), vars_paths=["terraform.tfvars"], stop_on_hcl_error=True)
    wanted = {each["__tfmeta"]["path"]: each for each in parsed["ollama_model"]}
    found = subjects_of(files)
    # tfparse drops an instance whose key is the empty text; Terraform plans it.
    for base in [address.removesuffix('[""]') for address in found if address.endswith('[""]')]:
        for addresses in (found, wanted):
            for address in [each for each in addresses if each.partition("[")[0] == base]:
                del addresses[address]
    undecided = {address for address in found if address.partition("[")[0] == address and address not in wanted}
    assert set(found) - undecided <= set(wanted)
    assert not {address for address in wanted if address not in found and address.partition("[")[0] not in undecided}
    compared = total = 0
    for address, subject in found.items():
        for key, setting in subject.settings.items():
            expected = wanted.get(address, {}).get(key)
            total += 1
            if setting.is_known and expected is not None:
                compared += 1
                assert _rounded(setting.value) == _rounded(expected), f"{address}.{key} = {setting.written}"
    assert compared >= total * 0.6, "most of what is generated must be decided, or nothing was tested"
