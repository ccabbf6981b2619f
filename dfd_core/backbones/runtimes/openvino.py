"""OpenVINO: compiles a network for the CPU; about twice as fast as eager torch in float32, four times in bfloat16."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import warnings
from pathlib import Path
from typing import Any

import torch

from dfd_core.backbones.caching import whole_or_absent
from dfd_core.backbones.runtimes.protocol import Forward, Precision

_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_CAPABILITIES = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16"}
_MODEL = "model.xml"


class OpenVinoRuntime:
    """OpenVINO's CPU plug-in. Torch's number of threads is its number of threads.

    The converted network and its compiled form stand in the cache, so that other processes skip both steps.
    """

    name = "openvino"

    def version(self) -> str | None:
        """The package's version; `None` where it is not installed."""
        try:
            return importlib.metadata.version("openvino")
        except importlib.metadata.PackageNotFoundError:
            return None

    def offers(self, precision: Precision, device: torch.device) -> bool:
        """Whether it is installed, the device a CPU, and the precision one that this CPU computes in."""
        if device.type != "cpu" or self.version() is None:
            return False
        return _CAPABILITIES[precision] in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def prepare(
        self, module: torch.nn.Module, precision: Precision, image_size: int, cached_at: Path | None
    ) -> Forward:
        """Compiles the module, or takes the compiled form from the cache."""
        properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # else every process of the machine pins itself to the same first cores
        }
        if cached_at is None:
            compiled = _core().compile_model(_converted(module, image_size), "CPU", properties)
        else:
            if not (cached_at / _MODEL).is_file():
                _save(_converted(module, image_size), cached_at)
            properties["CACHE_DIR"] = str(cached_at / "compiled")
            compiled = _core().compile_model(str(cached_at / _MODEL), "CPU", properties)
        computes_in = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if computes_in != _HINTS[precision]:
            raise RuntimeError(f"OpenVINO would compute in {computes_in} instead of {_HINTS[precision]} on this CPU")
        request = compiled.create_infer_request()

        def forward(batch: torch.Tensor) -> torch.Tensor:
            result = request.infer([batch.contiguous().numpy()], share_inputs=True)[0]
            return torch.from_numpy(result)

        return forward


@functools.cache
def _core() -> Any:
    """OpenVINO's root object: one for the process, which is never freed.

    Its CPU plug-in gives the thread an alternative stack for signals and takes it away again when it is freed; with
    several of them, a later signal finds a stack that is gone, and the process ends with a segmentation fault.
    """
    _load_shared_tbb()
    import openvino

    return openvino.Core()


def _load_shared_tbb() -> None:
    """Loads the environment's own oneTBB, where there is one, before OpenVINO's.

    A process has one libtbb, the first that is loaded. OpenVINO's is older than what scikit-learn-intelex needs, which
    then can't be imported; the newer one serves both.
    """
    try:
        files = importlib.metadata.distribution("tbb").files or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        path = Path(str(file.locate()))
        if path.name == "libtbb.so.12" and path.exists():
            ctypes.CDLL(str(path.resolve()), mode=ctypes.RTLD_GLOBAL)


def _converted(module: torch.nn.Module, image_size: int) -> Any:
    """The network in OpenVINO's form, for batches of any size.

    `openvino.convert_model` would do the same, but reports each call to its maker unless one has opted out.
    """
    _core()  # before anything of OpenVINO's is imported
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros(2, 3, image_size, image_size)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing warns of everything that depends on the image's fixed size
        decoder = TorchScriptPythonDecoder(module, example_input=example, trace_kwargs={"check_trace": False})
        front = FrontEndManager().load_by_framework("pytorch")
        model = front.convert(front.load(decoder))
    model.reshape([-1, 3, image_size, image_size])
    return model


def _save(model: Any, folder: Path) -> None:
    """Writes the model's two files into the folder, unless another process was faster."""
    import openvino

    with whole_or_absent(folder) as partial:
        if not (folder / _MODEL).is_file():
            partial.mkdir()
            openvino.save_model(model, str(partial / _MODEL), compress_to_fp16=False)
