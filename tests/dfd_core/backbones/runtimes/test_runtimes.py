"""Every runtime against eager torch, what calibration finds and remembers, and reduced precision."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.backbones.runtimes import RUNTIMES, calibration
from dfd_core.backbones.runtimes.calibration import calibrated
from dfd_core.backbones.runtimes.openvino import OpenVinoRuntime
from dfd_core.backbones.runtimes.workload import CPU_SIZES, Workload, probe_images
from dfd_core.backbones.weights import HubFiles, from_address, from_hub
from dfd_core.classifiers import accelerated
from dfd_core.errors import UsageError, WeightsError
from dfd_core.features.spec import ExtractionSpec

CPU = torch.device("cpu")
NAMES = ["vit", "resnet"]


@pytest.fixture(scope="module")
def modules():
    torch.manual_seed(0)
    made = {
        "vit": timm.create_model("test_vit", num_classes=0),
        "resnet": timm.create_model("test_resnet", num_classes=0),
    }
    return {name: module.eval().requires_grad_(False) for name, module in made.items()}


def workload(module, precision="float32"):
    return Workload(module, precision, 160, CPU)


def test_a_configuration_knows_every_runtime():
    assert set(ExtractionSpec.model_fields["runtime"].annotation.__args__) == {"auto", *RUNTIMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtimes_vectors_are_torchs_for_every_size_of_batch(modules, name, runtime, tmp_path):
    module = modules[name]
    forward = RUNTIMES[runtime].prepare(module, "float32", 160, tmp_path / runtime)
    for n in (1, 3, 2):
        batch = probe_images(n, workload(module))
        expected = module(batch)
        found = forward(batch)
        assert found.dtype == torch.float32
        assert found.shape == expected.shape
        assert calibration.lowest_cosine(found, expected) > 0.999999
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_the_compiled_form_is_taken_from_the_cache(modules, tmp_path):
    batch = probe_images(2, workload(modules["vit"]))
    first = RUNTIMES["openvino"].prepare(modules["vit"], "float32", 160, tmp_path / "v")(batch)
    assert list((tmp_path / "v" / "compiled").iterdir())
    again = RUNTIMES["openvino"].prepare(torch.nn.Identity(), "float32", 160, tmp_path / "v")(batch)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    assert not list(tmp_path.glob(".partial-*"))


def test_a_precision_that_the_cpu_has_not_is_not_offered(monkeypatch):
    offered = [one for one in ("float32", "bfloat16", "float16") if RUNTIMES["openvino"].offers(one, CPU)]
    assert "float32" in offered
    assert not RUNTIMES["openvino"].offers("float32", torch.device("meta"))
    monkeypatch.setattr(OpenVinoRuntime, "version", lambda self: None)
    assert not RUNTIMES["openvino"].offers("float32", CPU)


def test_what_is_found_is_remembered_until_something_changes(modules, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "SMALL", 0)
    work = workload(modules["vit"])
    _, found = calibrated(work, "auto", None, tmp_path)
    assert found.runtime in RUNTIMES
    assert found.batch_size in CPU_SIZES
    assert found.cosine > 0.99999
    assert found.threads == torch.get_num_threads()
    monkeypatch.setattr(calibration, "_measure", lambda *_: pytest.fail("it was measured again"))
    forward, known = calibrated(work, "auto", None, tmp_path)
    assert known == found
    assert forward(probe_images(2, work)).shape == (2, 64)
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        calibrated(work, "auto", 4, tmp_path)


def test_a_damaged_finding_is_made_anew_and_said_so(modules, tmp_path, caplog):
    calibrated(workload(modules["vit"]), "torch", 4, tmp_path)
    (path,) = tmp_path.glob("calibration-*.json")
    path.write_text('{"runtime": ')
    _, found = calibrated(workload(modules["vit"]), "torch", 4, tmp_path)
    assert "measured again" in caplog.text
    assert json.loads(path.read_text())["batch_size"] == found.batch_size == 4


class Wrong(OpenVinoRuntime):
    """Gives vectors that are not the network's."""

    name = "openvino"

    def prepare(self, module, precision, image_size, cached_at):
        return lambda batch: module(batch).flip(0)


def test_a_runtime_with_other_vectors_is_not_taken_and_that_is_said(modules, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(calibration, "RUNTIMES", {"torch": RUNTIMES["torch"], "openvino": Wrong()})
    monkeypatch.setattr(calibration, "SMALL", 0)
    _, found = calibrated(workload(modules["resnet"]), "auto", 2, tmp_path)
    assert found.runtime == "torch"
    assert "openvino is not used for this network: its vectors have a cosine of only" in caplog.text
    with pytest.raises(UsageError, match="can't be used for this network"):
        calibrated(workload(modules["resnet"]), "openvino", 2, tmp_path)


class Nonsense(OpenVinoRuntime):
    """Is fast, and gives no numbers."""

    name = "openvino"

    def prepare(self, module, precision, image_size, cached_at):
        return lambda batch: torch.full((len(batch), 64), torch.nan)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vectors_that_are_no_numbers_are_refused_in_every_precision(modules, tmp_path, monkeypatch, precision):
    monkeypatch.setattr(Nonsense, "offers", lambda *_: True)
    monkeypatch.setattr(calibration, "RUNTIMES", {"torch": RUNTIMES["torch"], "openvino": Nonsense()})
    monkeypatch.setattr(calibration, "SMALL", 0)
    assert calibrated(workload(modules["vit"], precision), "auto", 2, tmp_path)[1].runtime == "torch"


def test_small_networks_stay_with_torch(modules, tmp_path):
    assert calibrated(workload(modules["vit"]), "auto", 2, tmp_path)[1].runtime == "torch"


def test_a_runtime_that_is_not_installed_is_named(modules, tmp_path, monkeypatch):
    monkeypatch.setattr(OpenVinoRuntime, "version", lambda self: None)
    with pytest.raises(UsageError, match=r"openvino is not installed.*pip install '\.\[openvino\]'"):
        calibrated(workload(modules["vit"]), "openvino", None, tmp_path)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_broken_runtime_is_refused_in_reduced_precision_too(modules, tmp_path, monkeypatch, caplog, precision):
    class Rough(OpenVinoRuntime):
        """Gives vectors that have half of each number's size as noise, and is fast."""

        def offers(self, *_):
            return True

        def prepare(self, module, precision, image_size, cached_at):
            exact = module(probe_images(4, workload(module)))
            noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(0))
            return lambda batch: exact[: len(batch)] + 0.5 * exact.std() * noise[: len(batch)]

    monkeypatch.setattr(calibration, "RUNTIMES", {"torch": RUNTIMES["torch"], "openvino": Rough()})
    monkeypatch.setattr(calibration, "SMALL", 0)
    assert calibrated(workload(modules["vit"], precision), "auto", 2, tmp_path)[1].runtime == "torch"
    assert "openvino is not used for this network: its vectors have a cosine of only 0." in caplog.text


@pytest.fixture(params=["a file", "read-only"])
def unusable(request, tmp_path, monkeypatch):
    """A cache that nothing can be kept in."""
    place = tmp_path / "cache"
    if request.param == "a file":
        place.write_text("")
    else:  # as root one may write whatever the mode says
        monkeypatch.setattr("dfd_core.backbones.caching.os.access", lambda *_: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "hub"))
    return place


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_without_a_cache_it_goes_on_and_says_what_is_lost(unusable, images, caplog, runtime):
    backbone = load(resolve(BackboneSpec(name="tiny_vit")), runtime=runtime)
    assert backbone.embed([backbone.transform(image) for image in images]).shape == (3, 64)
    (message,) = [one for one in caplog.messages if "measures and compiles this network again" in one]
    assert str(unusable) in message
    assert "Set XDG_CACHE_HOME to a folder that can be written" in message


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_cache_that_is_full_is_none(images, caplog, monkeypatch, runtime):
    @contextlib.contextmanager
    def full(target):
        yield target.with_name("partial")
        raise OSError(28, "No space left on device")

    for module in ("calibration", "openvino"):
        monkeypatch.setattr(f"dfd_core.backbones.runtimes.{module}.whole_or_absent", full)
    backbone = load(resolve(BackboneSpec(name="tiny_vit")), runtime=runtime)
    assert backbone.embed([backbone.transform(image) for image in images]).shape == (3, 64)
    assert "(No space left on device), so each process measures and compiles this network again" in caplog.text


def test_weights_that_must_be_downloaded_need_one(unusable):
    with pytest.raises(WeightsError, match=r"The folder .*, and memory://w\.safetensors has to .* Set XDG_CACHE_HOME"):
        from_address("memory://w.safetensors")
    with pytest.raises(WeightsError, match="Set HF_HUB_CACHE to a folder that can be written"):
        from_hub(HubFiles("owner/name", ("model.safetensors",)))


def test_a_batch_that_does_not_fit_is_halved_and_no_vector_is_lost(images, monkeypatch):
    backbone = load(resolve(BackboneSpec(name="tiny_vit")), batch_size=8)
    inputs = [backbone.transform(image) for image in images] * 5
    expected = backbone.embed(inputs)
    forward, sizes = backbone._forward, []

    def narrow(batch):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch)

    monkeypatch.setattr(backbone, "_forward", narrow)
    np.testing.assert_allclose(backbone.embed(inputs), expected, rtol=1e-4, atol=1e-4)
    assert sizes[:3] == [8, 4, 2]
    assert backbone.batch_size == 2
    assert backbone.facts()["batch_size"] == 2


def test_one_image_that_does_not_fit_is_an_error(images, monkeypatch):
    backbone = load(resolve(BackboneSpec(name="tiny_vit")), batch_size=2)

    def full(batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(backbone, "_forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        backbone.embed([backbone.transform(images[0])])


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_bfloat16_is_another_feature_set_and_its_difference_is_measured(images, runtime):
    if not RUNTIMES[runtime].offers("bfloat16", CPU):
        pytest.skip(f"{runtime} has no bfloat16 on this CPU")
    exact, rounded = (resolve(BackboneSpec(name="tiny_resnet", precision=one)) for one in ("float32", "bfloat16"))
    assert exact.key() != rounded.key()
    assert rounded.label == "Tiny ResNet (random) (bfloat16)"
    one, other = load(exact, runtime=runtime), load(rounded, runtime=runtime)
    inputs = [one.transform(image) for image in images]
    assert one.agreement(inputs) is None
    X, Y = one.embed(inputs), other.embed(inputs)
    assert Y.dtype == np.float32
    assert not np.array_equal(X, Y)
    agreement = other.agreement(inputs)
    assert agreement.n == len(images)
    cosines = (X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)
    assert agreement.cosine == pytest.approx(cosines.min(), abs=1e-5)
    assert 0.99 < agreement.cosine < 1
    assert agreement.centred < agreement.cosine
    np.testing.assert_array_equal(other.embed(inputs), Y)


def test_nothing_is_reported_to_the_makers_of_a_runtime():
    source = Path(calibration.__file__).with_name("openvino.py").read_text()
    assert ".convert_model(" not in source


SIGNALLED = """
import faulthandler, os, signal, sys
from pathlib import Path
import timm, torch
from dfd_core.backbones.runtimes import RUNTIMES

faulthandler.enable()
network, folder = timm.create_model("test_vit", num_classes=0).eval(), Path(sys.argv[1])
for number in range(3):
    assert RUNTIMES["openvino"].offers("float32", torch.device("cpu"))
    forward = RUNTIMES["openvino"].prepare(network, "float32", 160, folder / "cache")
    forward(torch.zeros(1, 3, 160, 160))
before = os.sched_getaffinity(0)
received = []
signal.signal(signal.SIGTERM, lambda *_: received.append(1))
del forward
os.kill(os.getpid(), signal.SIGTERM)
print(len(received), before == set(range(os.cpu_count())))
"""


def test_a_signal_finds_its_handler_after_networks_came_and_went(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", SIGNALLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["1", "True"]), done.stderr


def test_networks_of_several_processes_do_not_share_a_core(modules, tmp_path):
    """Each thread that computes may run on every core that the process has."""
    forward = RUNTIMES["openvino"].prepare(modules["vit"], "float32", 160, None)
    batch, allowed, over = probe_images(4, workload(modules["vit"])), set(), threading.Event()

    def watch():
        while not over.is_set():
            for task in Path("/proc/self/task").iterdir():
                with contextlib.suppress(OSError, ProcessLookupError):
                    allowed.add(frozenset(os.sched_getaffinity(int(task.name))))

    watching = threading.Thread(target=watch)
    watching.start()
    for _ in range(20):
        forward(batch)
    over.set()
    watching.join()
    assert allowed == {frozenset(os.sched_getaffinity(0))}


BESIDE = """
import sys
import numpy as np
import torch
from dfd_core.backbones.runtimes.openvino import _core, _converted
module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2)).eval()
_core().compile_model(_converted(module, 4), "CPU")
from dfd_core.classifiers.accelerated import implementation
fast, name = implementation("SVC", 5000)
X = np.random.default_rng(0).normal(size=(200, 3))
print(name, fast().fit(X, X[:, 0] > 0).score(X, X[:, 0] > 0) > 0.9)
"""


def test_a_network_and_a_fast_classifier_can_be_in_one_process():
    pytest.importorskip("openvino")
    if accelerated.version() is None:
        pytest.skip("scikit-learn-intelex is not installed")
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("scikit-learn-intelex")
    assert done.stdout.endswith("True\n")
