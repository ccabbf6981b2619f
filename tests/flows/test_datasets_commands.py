import subprocess
import sys

import pytest
from PIL import Image

DFD = [sys.executable, "-c", "from flows.cli import main; main()"]


def dfd(folder, *arguments):
    done = subprocess.run([*DFD, *map(str, arguments)], capture_output=True, text=True, cwd=folder, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def images(tmp_path):
    """A folder of one's own."""
    for i in range(12):
        for k, path in enumerate((f"mine/real/{i}.png", f"mygan/fake/{i}.png")):
            (tmp_path / "images" / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (i, 99 * k, 0)).save(tmp_path / "images" / path)
    return tmp_path / "images"


def test_a_folder_of_ones_own_gets_a_name_and_a_life(images, tmp_path):
    added = dfd(tmp_path, "datasets", "add", "ours", "--folder", "images", "--keep")
    assert added.returncode == 0, added.stderr
    assert added.stdout.splitlines()[-1] == str(tmp_path / "dfd-store" / "cards" / "ours.yaml")
    assert "ours" in dfd(tmp_path, "datasets", "status").stdout
    (row,) = [line for line in dfd(tmp_path, "datasets", "list").stdout.splitlines() if line.startswith("ours")]
    assert str(images) in row
    assert str(images) in dfd(tmp_path, "datasets", "show", "ours").stdout
    assert "Did you mean" in dfd(tmp_path, "datasets", "show", "simulate").stderr
    other = dfd(tmp_path, "datasets", "add", "ours", "--folder", "images/mygan", "--keep")
    assert other.returncode == 2
    assert "another dataset of your own named 'ours'" in other.stderr
    (tmp_path / "run.yaml").write_text("store: dfd-store\ndatasets: [ours]\nbackbones: [spectrum]\n")
    run = dfd(tmp_path, "prepare", "run.yaml", "--local")
    assert run.returncode == 0, run.stderr
    assert "mygan" in run.stdout
    assert dfd(tmp_path, "datasets", "verify", "ours").returncode == 0
    (images / "mygan/fake/3.png").write_bytes(b"x")
    damaged = dfd(tmp_path, "datasets", "verify", "ours")
    assert damaged.returncode == 1
    assert "mygan/fake/3.png" in damaged.stdout
    assert dfd(tmp_path, "datasets", "remove", "ours").returncode == 0
    assert dfd(tmp_path, "prepare", "run.yaml", "--local").returncode == 2
    assert len(list(images.rglob("*.png"))) == 24


def test_what_can_be_prepared_is_and_what_cannot_says_why(images, tmp_path):
    by_hand = tmp_path / "dfd-store" / "by_hand" / "celeba"
    missing = dfd(tmp_path, "datasets", "prepare", "celeba")
    assert missing.returncode == 1
    assert "mmlab.ie.cuhk.edu.hk" in missing.stderr
    assert str(by_hand) in missing.stderr
    by_hand.mkdir(parents=True)
    (images / "mine/real").rename(by_hand / "img_align_celeba")
    (by_hand / "fake").mkdir()
    (images / "mygan/fake").rename(by_hand / "fake" / "stargan")
    done = dfd(tmp_path, "datasets", "prepare", "celeba", "--sample", "5", "--local")
    assert done.returncode == 0, done.stderr
    assert "stargan" in done.stdout
    assert "celeba" in dfd(tmp_path, "datasets", "status").stdout
    for image in (by_hand / "fake").rglob("*.png"):
        image.write_bytes(b"x")
    advice = dfd(tmp_path, "datasets", "verify", "celeba").stderr
    assert "`dfd datasets remove celeba`, then prepare it again" in advice
    removed = dfd(tmp_path, "datasets", "remove", "celeba")
    assert removed.returncode == 0
    assert dfd(tmp_path, "datasets", "remove", "celeba").returncode == 1


def test_wrong_usage_is_told(tmp_path):
    for arguments, says in (
        (("prepare", "celebb"), "Did you mean 'celeba'"),
        (("add", "celeba", "--folder", "x"), "The catalogue has a dataset named 'celeba'"),
        (("add", "x"), "one of the keys"),
        (("prepare", "simulated", "--sample", "3"), "sample: no such option"),
    ):
        done = dfd(tmp_path, "datasets", *arguments)
        assert done.returncode == 2, done.stderr
        assert says in done.stderr


def test_a_secret_in_an_address_is_neither_kept_nor_printed(tmp_path):
    done = dfd(tmp_path, "datasets", "add", "x", "--folder", "https://me:hunter2@host/x?sig=hunter2", "--keep")
    assert done.returncode == 2
    assert "environment" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert not (tmp_path / "dfd-store" / "cards").exists()
