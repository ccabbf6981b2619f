import functools
import http.server
import re
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
import yaml
from moto.server import ThreadedMotoServer
from PIL import Image

from dfd_core.datasets import DATASETS

DFD = [sys.executable, "-c", "from flows.cli import main; main()"]


def dfd(folder, *arguments):
    done = subprocess.run([*DFD, *map(str, arguments)], capture_output=True, text=True, cwd=folder, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def images(tmp_path):
    """A folder of your own."""
    for i in range(12):
        for k, path in enumerate((f"mine/real/{i}.png", f"mygan/fake/{i}.png")):
            (tmp_path / "images" / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (i, 99 * k, 0)).save(tmp_path / "images" / path)
    return tmp_path / "images"


def test_a_folder_of_ones_own_gets_a_name_and_a_life(images, tmp_path):
    added = dfd(tmp_path, "datasets", "add", "ours", "--folder", "images", "--keep", "--local")
    assert added.returncode == 0, added.stderr
    assert added.stdout.splitlines()[-1] == str(tmp_path / "dfd-store" / "cards" / "ours.yaml")
    assert "ours" in dfd(tmp_path, "datasets", "status").stdout
    (row,) = [line for line in dfd(tmp_path, "datasets", "list").stdout.splitlines() if line.startswith("ours")]
    assert str(images) in row
    assert str(images) in dfd(tmp_path, "datasets", "show", "ours").stdout
    assert "Did you mean" in dfd(tmp_path, "datasets", "show", "simulate").stderr
    guide = dfd(tmp_path, "datasets", "guide", "ours").stdout.splitlines()
    assert guide[1].strip() == str(images)
    assert guide[-1].strip() == "dfd datasets prepare ours"
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
    removed = dfd(tmp_path, "datasets", "remove", "ours")
    assert removed.returncode == 0
    assert re.search(r"kept .*manifests/ours-.*parquet.*, which runs refer to", removed.stderr)
    assert dfd(tmp_path, "prepare", "run.yaml", "--local").returncode == 2
    assert len(list(images.rglob("*.png"))) == 24


def test_what_belongs_together_can_be_said(images, tmp_path):
    for split, numbers in (("train", range(8)), ("test", range(8, 12))):
        lines = [f"{place}/{i}.png\n" for i in numbers for place in ("mine/real", "mygan/fake")]
        (tmp_path / f"{split}.txt").write_text("".join(lines))
    options = [
        "--layout",
        "generator",
        "--family",
        "mygan=gan",
        "--split",
        "train=train.txt",
        "--split",
        "test=test.txt",
    ]
    ours = ("datasets", "add", "ours", "--folder", "images", *options, "--group-pattern", r"\d+", "--keep", "--local")
    added = dfd(tmp_path, *ours)
    assert added.returncode == 0, added.stderr
    kept = yaml.safe_load((tmp_path / "dfd-store/cards/ours.yaml").read_text())
    assert kept["families"] == {"mygan": "gan"}
    assert (kept["layout"], kept["group_pattern"]) == ("generator", r"\d+")
    (path,) = (tmp_path / "dfd-store").rglob("ours-*.parquet")
    table = pq.read_table(path).to_pandas(types_mapper={}.get)
    assert table["group"].nunique() == 12
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert table["split"].value_counts().to_dict() == {"train": 16, "test": 8}
    assert set(table.loc[table["label"] == 1, "family"]) == {"gan"}


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


def test_what_is_wrong_with_archives_is_told_although_the_images_were_removed(images, tmp_path):
    by_hand = tmp_path / "dfd-store" / "by_hand" / "celeba"
    by_hand.mkdir(parents=True)
    with zipfile.ZipFile(by_hand / "all.zip", "w") as archive:
        for i in range(12):
            archive.write(images / f"mine/real/{i}.png", f"img_align_celeba/{i}.png")
            archive.write(images / f"mygan/fake/{i}.png", f"fake/stargan/{i}.png")
    assert dfd(tmp_path, "datasets", "prepare", "celeba", "--local").returncode == 0
    assert dfd(tmp_path, "datasets", "remove", "celeba").returncode == 0
    right = dfd(tmp_path, "datasets", "verify", "celeba")
    assert right.returncode == 1
    assert "The files of celeba are not in" in right.stderr
    with (by_hand / "all.zip").open("r+b") as file:
        file.write(b"x")
    wrong = dfd(tmp_path, "datasets", "verify", "celeba")
    assert wrong.returncode == 1
    assert "all.zip has the SHA-256" in wrong.stdout
    assert "of its archives 1 is wrong" in wrong.stdout
    assert "with --forget their digests too" in wrong.stderr


def test_ones_own_bucket_is_prepared_by_a_flow(engine, images, tmp_path, bucket):
    place, environment = bucket
    for path in images.rglob("*.png"):
        fsspec.filesystem("s3").put_file(str(path), f"{place}/{path.relative_to(images)}")
    store = tmp_path / "store"
    added = engine.dfd("datasets", "add", "far", "--folder", f"s3://{place}", "--store", store, "--keep", **environment)
    assert added.returncode == 0, added.stderr
    lines = added.stdout.splitlines()
    assert "mygan" in added.stdout
    assert lines[-1] == str(store / "cards" / "far.yaml")
    assert Path(lines[-2]).parent == store / "manifests"
    (run,) = engine.post("flow_runs/filter", flow_runs={"id": {"any_": [lines[-3].rsplit("/", 1)[-1]]}})
    assert (run["name"], run["state"]["type"]) == ("prepare far", "COMPLETED")
    tasks = engine.post("task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
    assert [task["name"] for task in tasks] == ["prepare far"]
    nowhere = engine.dfd("datasets", "add", "x", "--folder", "nowhere", "--store", store, "--keep", **environment)
    assert nowhere.returncode == 1
    assert "There is no folder" in nowhere.stderr.splitlines()[-1]
    assert not (store / "cards" / "x.yaml").exists()


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a server of this machine, and the environment that finds it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {"FSSPEC_S3_ENDPOINT_URL": f"http://{host}:{port}", "FSSPEC_S3_KEY": "x", "FSSPEC_S3_SECRET": "x"}
    options = {"endpoint_url": f"http://{host}:{port}", "key": "x", "secret": "x"}
    monkeypatch.setitem(fsspec.config.conf, "s3", options)
    fsspec.filesystem("s3").clear_instance_cache()
    fsspec.filesystem("s3").mkdir("mine")
    yield "mine", {**environment, "AWS_DEFAULT_REGION": "us-east-1"}
    server.stop()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; once its server hangs it answers nothing, while it is busy it has no file."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.server.hangs:
            self.server.asked.set()
            self.server.over.wait(120)
        elif self.server.busy and self.path.endswith("/7.png"):
            self.server.busy -= 1
            self.send_error(503)
        else:
            super().do_GET()


@pytest.fixture
def web(images):
    """A server of the images, that can be told to hang or to be busy for some requests."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=images))
    server.hangs, server.asked, server.over, server.busy = False, threading.Event(), threading.Event(), 0
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def table(web, images, tmp_path):
    """A table of the images' addresses on that server."""
    base = f"http://127.0.0.1:{web.server_port}"
    rows = [f"{base}/{path.relative_to(images)},{path.parent.name}" for path in sorted(images.rglob("*.png"))]
    (tmp_path / "t.csv").write_text("\n".join(["url,label", *rows]))
    return tmp_path / "t.csv"


def test_a_server_that_is_busy_for_a_while_is_asked_again(engine, web, table, tmp_path):
    web.busy = 3  # two images are read in each attempt
    once = engine.dfd("datasets", "add", "ours", "--table", table, "--store", tmp_path / "store", DFD_TASK_RETRIES="0")
    assert once.returncode == 1
    assert "2 of 24 files are out of reach" in once.stderr
    assert web.busy == 1
    done = engine.dfd("datasets", "add", "ours", "--table", table, "--store", tmp_path / "store", DFD_TASK_RETRIES="2")
    assert done.returncode == 0, done.stderr
    assert web.busy == 0


def test_ctrl_c_is_answered_although_a_server_hangs(web, table, tmp_path):
    assert dfd(tmp_path, "datasets", "add", "ours", "--table", "t.csv", "--local").returncode == 0
    web.hangs = True
    add = ("datasets", "add", "theirs", "--table", "t.csv", "--local")
    for command in (("datasets", "verify", "ours"), ("audit", "ours"), add):
        web.asked.clear()
        process = subprocess.Popen([*DFD, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        try:
            assert web.asked.wait(60)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 1, said
        assert "was cancelled" in said.splitlines()[-1]


def test_the_guide_says_how_to_get_each_dataset(tmp_path):
    every = dfd(tmp_path, "datasets", "guide").stdout
    assert every.count("dfd datasets prepare ") == len(DATASETS)
    celeba = dfd(tmp_path, "datasets", "guide", "celeba", "--store", "elsewhere").stdout.splitlines()
    assert celeba[0] == "celeba"
    assert celeba[-1].strip() == "dfd datasets prepare celeba --store elsewhere"
    assert f"into {tmp_path / 'elsewhere/by_hand/celeba'}" in celeba[-2]
    spaced = dfd(tmp_path, "datasets", "guide", "simulated", "--store", "a b").stdout
    assert spaced.splitlines()[-1].strip() == "dfd datasets prepare simulated --store 'a b'"
    both = dfd(tmp_path, "datasets", "guide", "synthbuster").stdout
    assert "zenodo.org" in both
    assert "loki.disi.unitn.it" in both
    assert "fake/\\<generator>/\\*" in dfd(tmp_path, "datasets", "guide", "celeba", "--markdown").stdout
    assert "Did you mean 'celeba'" in dfd(tmp_path, "datasets", "guide", "celebb").stderr


def test_wrong_usage_is_told(tmp_path):
    for arguments, says in (
        (("prepare", "celebb"), "Did you mean 'celeba'"),
        (("verify", "nothere"), "There is no dataset named 'nothere'"),
        (("add", "celeba", "--folder", "x"), "The catalogue has a dataset named 'celeba'"),
        (("add", "x"), "where the images of x are: with --folder, once or more, or else with --table"),
        (("add", "x", "--folder", "x", "--table", "t.csv"), "with --folder, once or more, or else with --table"),
        (("add", "x", "--table", "t.csv", "--generator", "g"), "--generator goes with --folder"),
        (("add", "x", "--table", "t.csv", "--layout", "field"), "--layout goes with --folder"),
        (("add", "x", "--folder", "x", "--layout", "fields"), "layout: Input should be 'auto', 'generator'"),
        (("add", "x", "--folder", "x", "--group-pattern", "("), "group_pattern: not a regular expression"),
        (("add", "x", "--folder", "x", "--family", "gan"), "--family gan is not a name and a value with = between"),
        (("add", "x", "--folder", "x", "--split", "dev=d.txt"), "splits.dev: Input should be 'train'"),
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
