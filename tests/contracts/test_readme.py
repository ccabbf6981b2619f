"""What the README says is what the project does."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import tasks.settings
from dfd_core.config import RunConfig, load_config

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GENERATED = re.findall(r"<!-- (dfd [^>]+) -->\n(.*?)\n?<!-- end -->", README, flags=re.DOTALL)
DFD = [sys.executable, "-c", "from flows.cli import main; main()"]


def test_there_are_generated_tables():
    assert len(GENERATED) == 6


@pytest.mark.parametrize(("command", "table"), GENERATED, ids=[command for command, _ in GENERATED])
def test_tables_are_what_the_registries_say(command, table):
    """Where this fails, put the command's output into the README."""
    printed = subprocess.run([*DFD, *shlex.split(command)[1:]], capture_output=True, text=True, check=True).stdout
    assert table.strip() == printed.strip()


def test_the_table_of_settings_is_the_codes():
    rows = [line for line in tasks.settings.__doc__.splitlines() if line.startswith("|")]
    assert "\n".join(rows) in README


def test_the_example_configuration_is_valid():
    (text,) = re.findall(r"```yaml\n(# mine.yaml.*?)```", README, flags=re.DOTALL)
    values = yaml.safe_load(text.replace("sha256: ...", f'sha256: "{"0" * 64}"'))
    config = RunConfig.model_validate(values)
    assert [source.name for source in config.datasets] == ["faces", "objects", "pairs", "table"]


def test_every_configuration_of_the_deployments_is_valid():
    """Those of clusters have tests of their own, in `tests/flows/test_deployment_files.py`."""
    folder = ROOT / "deployments"
    for name in ("folders.yaml", "benchmark.yaml"):
        load_config(folder / name)
    (deployment,) = yaml.safe_load((folder / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    RunConfig.model_validate(deployment["parameters"]["config"])


def test_no_secret_and_no_index_stands_in_the_lock():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "fastapi==" in lock
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    left_out = {line.split("==")[0] for line in lock.splitlines()} - {line.split("==")[0] for line in constraints}
    assert {"torch", "torchvision", "triton"} <= left_out
    assert all(re.match(r"(torch|torchvision|triton|nvidia-|cuda-)", name) for name in left_out)
