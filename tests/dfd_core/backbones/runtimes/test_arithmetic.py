"""Float32 on a device is float32, whatever the process lets torch round to elsewhere."""

import subprocess
import sys

import pytest
import torch

from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.backbones.runtimes import RUNTIMES, arithmetic
from dfd_core.backbones.runtimes.arithmetic import exact_float32, float32_inside
from dfd_core.errors import ExtractionError

KINDS = [("cuda", "conv"), ("cuda", "matmul"), ("mkldnn", "conv"), ("mkldnn", "matmul")]
EXACT = {"conv": "ieee", "matmul": "ieee"}


def _said():
    return [torch._C._get_fp32_precision_getter(*kind) for kind in KINDS]


PROGRAM = """
import sys, warnings
warnings.simplefilter("error")
import torch
from dfd_core.backbones.runtimes.arithmetic import exact_float32

exec(sys.argv[1])
said = lambda: [torch._C._get_fp32_precision_getter(*kind) for kind in {kinds}]
before = said()
for device in ("cuda", "cpu"):
    with exact_float32(torch.device(device)):
        inside = said()
        print(*(inside[:2] if device == "cuda" else inside[2:]))
    assert said() == before, (said(), before)
assert "tf32" in before
"""


@pytest.mark.parametrize(
    ("line", "environment"),
    [
        ("", {}),
        ("", {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}),
        ("torch.set_float32_matmul_precision('medium')", {}),
        ("torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True", {}),
        ("torch.backends.fp32_precision = 'tf32'", {}),
        ("torch.backends.cuda.matmul.fp32_precision = 'tf32'; torch.set_float32_matmul_precision('highest')", {}),
    ],
)
def test_nothing_that_a_process_allows_makes_float32_less_than_it_is(line, environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-c", PROGRAM.format(kinds=KINDS), line]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["ieee ieee"] * 2


def test_a_pass_that_fails_leaves_the_switches_as_they_were():
    before = _said()
    with pytest.raises(ZeroDivisionError), exact_float32(torch.device("cuda")):
        raise ZeroDivisionError
    assert _said() == before


def test_threads_that_come_and_go_leave_each_other_exact():
    before, device = _said(), torch.device("cuda")
    first, second = exact_float32(device), exact_float32(device)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert _said()[:2] == ["ieee", "ieee"]
    second.__exit__(None, None, None)
    assert _said() == before


def test_a_network_gives_the_same_where_the_process_allows_bfloat16_products():
    torch.manual_seed(0)
    network, batch = torch.nn.Linear(512, 512).eval(), torch.randn(64, 512)
    forward = RUNTIMES["torch"].prepare(network, "float32", 1, None)
    expected = forward(batch)
    try:
        torch.set_float32_matmul_precision("medium")
        torch.testing.assert_close(forward(batch), expected, rtol=0, atol=0)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_what_float32_was_stands_in_provenance():
    assert float32_inside(torch.device("cuda")) == EXACT
    backbone = load(resolve(BackboneSpec(name="tiny_vit")), runtime="torch", batch_size=2)
    assert backbone.facts()["float32_in"] == EXACT


def test_a_torch_that_rounds_all_the_same_is_refused(monkeypatch):
    class Deaf:
        @property
        def fp32_precision(self):
            return "tf32"

        @fp32_precision.setter
        def fp32_precision(self, value):
            pass

    monkeypatch.setattr(arithmetic, "_switches", lambda _: {"matmul": Deaf()})
    with pytest.raises(ExtractionError, match="float32 matmul in tf32 on cuda, though told to be exact"):
        float32_inside(torch.device("cuda"))
