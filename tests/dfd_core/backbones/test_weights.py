"""Weights are found on local disk, at fsspec URLs and on a hub; what is wrong is said."""

import contextlib
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import numpy as np
import pytest

from dfd_core.backbones import BACKBONES, BackboneSpec, load, resolve
from dfd_core.backbones.weights import HubFiles, cache_folder, file_digest, from_address, from_hub
from dfd_core.errors import WeightsError

CONTENT = b"not really weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves bytes by path, with the headers of the Hugging Face hub, and keeps a log."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.log = files, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        path = self.path.partition("?")[0]
        self.server.log.append((self.command, path))
        body = self.server.files.get(path)
        self.send_response(404 if body is None else 200)
        if body is None:
            self.send_header("X-Error-Code", "GatedRepo" if "/closed/" in path else "EntryNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0123456789" * 4)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if with_body and body:
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(files):
    with Server(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def hub(files, monkeypatch):
    from huggingface_hub import constants

    with serving({f"/{repo}/resolve/main/{name}": body for (repo, name), body in files.items()}) as server:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server


@pytest.fixture
def memory():
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/models/w.safetensors", CONTENT)
    yield fs
    fs.rm("/models", recursive=True)


def test_a_local_file_stays_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "w.pth").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    for address in ("w.pth", str(tmp_path / "w.pth"), f"file://{tmp_path}/w.pth"):
        assert from_address(address).path == tmp_path / "w.pth"
    assert not cache_folder().exists()
    assert file_digest(tmp_path / "w.pth") == DIGEST


def test_a_missing_local_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights file .*nowhere\.pth"):
        from_address(str(tmp_path / "nowhere.pth"))


def test_a_remote_file_is_copied_once(memory, own_caches):
    file = from_address("memory://models/w.safetensors")
    assert file.path.read_bytes() == CONTENT
    assert file.path.parent == own_caches / "dfd" / "weights"
    assert file.path.suffix == ".safetensors"
    memory.rm("/models/w.safetensors")
    assert from_address("memory://models/w.safetensors").path == file.path
    memory.pipe_file("/models/w.safetensors", CONTENT)


def test_two_addresses_with_one_file_name_do_not_mix(memory):
    memory.pipe_file("/models/other/w.safetensors", b"other")
    first, second = (from_address(f"memory://models/{name}w.safetensors") for name in ("", "other/"))
    assert (first.path.read_bytes(), second.path.read_bytes()) == (CONTENT, b"other")


def test_a_download_that_breaks_leaves_nothing(memory, monkeypatch):
    def broken(source, target, length):
        target.write(source.read(10))
        raise ConnectionResetError("the line is dead")

    monkeypatch.setattr("shutil.copyfileobj", broken)
    with pytest.raises(WeightsError, match="the line is dead"):
        from_address("memory://models/w.safetensors")
    assert [path.name for path in cache_folder().iterdir() if path.suffix != ".lock"] == []


def test_what_is_not_there_or_has_no_known_protocol_is_said(memory):
    with pytest.raises(WeightsError, match="no weights at memory://models/none"):
        from_address("memory://models/none.pth")
    with pytest.raises(WeightsError, match="gopher"):
        from_address("gopher://models/none.pth")


def test_weights_come_over_http():
    with serving({"/models/w.pth": CONTENT}) as server:
        file = from_address(f"{server.address}/models/w.pth?download=true")
        assert file.path.read_bytes() == CONTENT
        assert file.path.suffix == ".pth"
        with pytest.raises(WeightsError, match=r"no weights at http://127.*absent\.pth"):
            from_address(f"{server.address}/models/absent.pth")


@pytest.mark.parametrize("name", ["tiny_vit", "clip_vit_b16"])
def test_another_digest_than_the_stated_one_is_refused(tmp_path, name):
    (tmp_path / "w.pth").write_bytes(CONTENT)
    with pytest.raises(WeightsError, match=f"{DIGEST}.*{'a' * 64}") as caught:
        resolve(BackboneSpec(name=name, weights=str(tmp_path / "w.pth"), sha256="a" * 64))
    assert str(tmp_path / "w.pth") in str(caught.value)
    assert resolve(BackboneSpec(name=name, weights=str(tmp_path / "w.pth"), sha256=DIGEST)).weights_digest == DIGEST


def test_without_a_connection_the_message_says_which_file_to_fetch():
    with pytest.raises(
        WeightsError, match=r"open_clip_model\.safetensors.*timm/vit_base_patch16_clip_224\.openai.*weights:"
    ):
        resolve(BackboneSpec(name="clip_vit_b16"))


def test_the_hub_is_asked_for_the_libraries_names_in_their_order(monkeypatch):
    files = HubFiles("org/repo", ("model.safetensors", "pytorch_model.bin"))
    with hub({("org/repo", "pytorch_model.bin"): CONTENT}, monkeypatch) as server:
        assert from_hub(files).path.read_bytes() == CONTENT
        asked = [path.rsplit("/", 1)[-1] for _, path in server.log]
        assert asked.index("model.safetensors") < asked.index("pytorch_model.bin")
        server.log.clear()
        assert from_hub(files).path.read_bytes() == CONTENT
        assert server.log == []


def test_a_repository_without_the_file_and_a_closed_one_are_told_apart(monkeypatch):
    with hub({}, monkeypatch):
        with pytest.raises(WeightsError, match=r"There is no a\.safetensors or b\.bin of the repository org/repo"):
            from_hub(HubFiles("org/repo", ("a.safetensors", "b.bin")))
        with pytest.raises(WeightsError, match="HF_TOKEN"):
            from_hub(HubFiles("closed/repo", ("a.safetensors",)))


def test_a_backbone_from_the_hub_is_what_timm_gets_from_it(monkeypatch, tmp_path, images):
    """Ours and timm's own loading share the hub's cache, and give the same features from the same file."""
    import timm
    import torch
    from safetensors.torch import save_file

    card = BACKBONES["tiny_vit"].model_copy(update={"name": "hub_vit", "default_weights": "hub"})
    monkeypatch.setitem(BACKBONES._entries, "hub_vit", card)
    torch.manual_seed(7)
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "model.safetensors")
    body = (tmp_path / "model.safetensors").read_bytes()
    with hub({("timm/test_vit.r160_in1k", "model.safetensors"): body}, monkeypatch) as server:
        resolved = resolve(BackboneSpec(name="hub_vit"))
        assert ("GET", "/timm/test_vit.r160_in1k/resolve/main/model.safetensors") in server.log
        server.log.clear()
        reference = timm.create_model("test_vit.r160_in1k", pretrained=True, num_classes=0).eval()
        assert "GET" not in [command for command, _ in server.log]
    assert resolved.weights_digest == hashlib.sha256(body).hexdigest()
    assert resolved.weights_source == "timm/test_vit.r160_in1k/model.safetensors on the hub"
    backbone = load(resolved, batch_size=8)
    inputs = [backbone.transform(image) for image in images]
    with torch.inference_mode():
        expected = reference(backbone.split.scaling.scaled(torch.from_numpy(np.stack(inputs)))).numpy()
    np.testing.assert_array_equal(backbone.embed(inputs), expected)
