import re
import signal
import subprocess
import sys
import time

import pytest

from tasks.cancelling import MESSAGE

DFD = [sys.executable, "-c", "from flows.cli import main; main()"]


def dfd(*arguments):
    return subprocess.run([*DFD, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


COMMANDS = [
    (), ("run",), ("prepare",), ("extract",), ("evaluate",), ("report",), ("audit",), ("config",), ("config", "show"),
    *((plural, *more) for plural in ("datasets", "backbones", "augmentations", "classifiers", "reducers")
      for more in ((), ("list",), ("show",))),
    ("features",), ("features", "import"), ("features", "list"), ("check",), ("grid",),
    *(("datasets", command) for command in ("guide", "prepare", "add", "status", "verify", "remove")),
    ("server",), ("server", "start"), ("server", "status"), ("server", "stop"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command):
    done = dfd(*command, "--help")
    assert done.returncode == 0
    assert re.search(r"Examples?:\s+dfd ", done.stdout), done.stdout


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("datasets", "simulated"), ("backbones", "clip_vit_l14"), ("augmentations", "blur_sigma_2"),
        ("classifiers", "nearest_neighbour"), ("reducers", "standardize"),
    ],
)  # fmt: skip
def test_catalogues_list_and_show(kind, name):
    listed = dfd(kind, "list")
    assert listed.returncode == 0
    assert any(line.startswith(name) for line in listed.stdout.splitlines())
    shown = dfd(kind, "show", name)
    assert shown.returncode == 0
    assert f"name: {name}" in shown.stdout


def test_an_unknown_name_gets_the_close_matches_and_exit_code_2():
    done = dfd("backbones", "show", "clip_vit_b61")
    assert done.returncode == 2
    assert "Did you mean 'clip_vit_b16'" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rnu",), "No such command 'rnu'"),
        (("run", "--stroe", "x"), "No such option"),
        (("run", "no-such-file.yaml"), "There is no configuration no-such-file.yaml"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments, says):
    done = dfd(*arguments)
    assert done.returncode == 2
    assert says in done.stderr


RETRYING = {"run", "extract", "evaluate", "grid"}


@pytest.mark.parametrize("command", ["run", "prepare", "extract", "evaluate", "report", "grid"])
def test_what_failed_can_be_retried_where_something_can_fail(command):
    assert ("--retry-failed" in dfd(command, "--help").stdout) == (command in RETRYING)


@pytest.mark.parametrize(
    ("what", "heavy"),
    [
        ("from flows.cli import main; main()", {"torch", "ray", "prefect", "sklearn", "timm", "matplotlib"}),
        ("import flows.run, tasks.actors", {"torch", "sklearn", "scipy", "timm", "matplotlib"}),
    ],
    ids=["a listing", "the start of a run"],
)
def test_libraries_are_loaded_by_what_needs_them(what, heavy):
    code = f"import sys; sys.argv = ['dfd', 'datasets', 'list']\ntry:\n    {what}\nfinally:\n"
    code += f"    print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_a_dry_run_computes_nothing(tmp_path):
    done = dfd("run", "--dry-run", "--store", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert "dataset simulated: to be acquired" in done.stdout
    assert done.stdout.splitlines()[-1] == str(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_the_printed_configuration_is_one_to_start_from(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(dfd("config", "show").stdout)
    done = dfd("run", path, "--dry-run")
    assert done.returncode == 0, done.stderr


def test_a_missing_folder_and_a_missing_class_are_clear(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("store: s\ndatasets: [{name: x, folders: nowhere}]\n")
    done = dfd("prepare", path, "--local")
    assert done.returncode == 1
    assert str(tmp_path / "nowhere") in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "nowhere" / "ffhq" / "real").mkdir(parents=True)
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "nowhere/ffhq/real/a.png")
    done = dfd("prepare", path, "--local")
    assert done.returncode == 1
    assert "generated" in done.stderr


def test_a_store_in_memory_is_refused_where_actors_are():
    done = dfd("run", "--store", "memory://x")
    assert done.returncode == 2
    assert "no actor reaches it" in done.stderr


def test_the_version_is_told():
    from dfd_core import __version__

    assert dfd("--version").stdout.strip() == f"dfd {__version__}"


def test_ctrl_c_is_answered_with_a_word_and_exit_code_1(tmp_path):
    started = subprocess.Popen(
        [*DFD, "run", "--local", "--store", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.1)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 1
    assert said.splitlines()[-1] == f"dfd: {MESSAGE}"
