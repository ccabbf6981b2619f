"""OpenVINO: compiles a network for the CPU; about twice as fast as eager torch in float32, four times in bfloat16."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import uuid
import warnings
from pathlib import Path
from typing import Any

import torch

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
        import openvino

        capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return _CAPABILITIES[precision] in capabilities

    def prepare(
        self, module: torch.nn.Module, precision: Precision, image_size: int, cached_at: Path | None
    ) -> Forward:
        """Compiles the module, or takes the compiled form from the cache."""
        import openvino

        core = openvino.Core()
        properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
        }
        if cached_at is None:
            compiled = core.compile_model(_converted(module, image_size), "CPU", properties)
        else:
            if not (cached_at / _MODEL).is_file():
                _save(_converted(module, image_size), cached_at)
            core.set_property({"CACHE_DIR": str(cached_at / "compiled")})
            compiled = core.compile_model(str(cached_at / _MODEL), "CPU", properties)
        computes_in = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if computes_in != _HINTS[precision]:
            raise RuntimeError(f"OpenVINO would compute in {computes_in} instead of {_HINTS[precision]} on this CPU")
        request = compiled.create_infer_request()

        def forward(batch: torch.Tensor) -> torch.Tensor:
            result = request.infer([batch.contiguous().numpy()], share_inputs=True)[0]
            return torch.from_numpy(result)

        return forward


def _converted(module: torch.nn.Module, image_size: int) -> Any:
    """The network in OpenVINO's form, for batches of any size.

    `openvino.convert_model` would do the same, but reports each call to its maker unless one has opted out.
    """
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
    """Writes the model's two files into the folder; several processes may do so at once."""
    import openvino

    partial = folder.with_name(f".partial-{uuid.uuid4().hex}")
    partial.mkdir(parents=True)
    try:
        openvino.save_model(model, str(partial / _MODEL), compress_to_fp16=False)
        try:
            os.replace(partial, folder)  # noqa: PTH105
        except OSError:
            if not (folder / _MODEL).is_file():  # else another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
