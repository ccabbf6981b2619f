"""clip-retrieval's `inference` command, in an environment of its own.

`python tests/benchmarks/rival_clip_retrieval.py IMAGES CHECKPOINT OUTPUT`. The program is run as PyPI has it and only
its options say what to do: the checkpoint is a file, so nothing is asked of a hub. It has two loader workers, like the
other contenders, and its own default of 256 images a batch. Before the first image it warms up with two batches of
images and two of texts, which the slope over two runs leaves out. It divides each feature by its length and keeps it as
float16.

The environment is made where it is absent: in `.venv-clip-retrieval` of the project's root, or where
DFD_BENCH_CLIP_RETRIEVAL says. clip-retrieval needs NumPy 1, Arrow 15, open_clip 2 and a setuptools that still has
pkg_resources, so it can't share ours; `clip_retrieval.lock` has the exact set. torch and torchvision are left out there
and get this environment's versions, so that the same build runs the network.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

VARIABLE = "DFD_BENCH_CLIP_RETRIEVAL"
PYTHON = "3.11"
LOCK = Path(__file__).with_name("clip_retrieval.lock")
ROOT = Path(__file__).resolve().parents[2]


def environment_folder() -> Path:
    """Where clip-retrieval's environment is or will be."""
    return Path(os.environ.get(VARIABLE) or ROOT / ".venv-clip-retrieval").absolute()


def ensure_environment() -> Path:
    """Makes the environment unless it is there: 124 packages, 6.4 GB.

    Returns:
        The program in it.

    Raises:
        RuntimeError: uv is missing, or can't install.
    """
    folder = environment_folder()
    program, stamp = folder / "bin" / "clip-retrieval", folder / ".installed"
    torch = [f"{name}=={version(name).partition('+')[0]}" for name in ("torch", "torchvision")]
    wanted = "\n".join([LOCK.read_text(), *torch])
    if stamp.exists() and stamp.read_text() == wanted:
        return program
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if uv is None:
        raise RuntimeError("uv is needed to make clip-retrieval's environment: pip install uv")
    print(f"Making clip-retrieval's environment in {folder}", file=sys.stderr)
    _run([uv, "venv", "--quiet", "--clear", "--python", PYTHON, str(folder)])
    (folder / ".gitignore").write_text("*\n")  # neither git nor ruff shall look into it
    python = str(folder / "bin" / "python")
    _run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, "-r", str(LOCK), *torch])
    stamp.write_text(wanted)
    return program


def command(
    images: Path, checkpoint: Path, output: Path, architecture: str, batch_size: int | None = None
) -> list[str]:
    """The command line that embeds a folder of images.

    Args:
        images: The folder.
        checkpoint: The weights, in a file that open_clip reads.
        output: Gets `img_emb/*.npy` and `metadata/*.parquet`.
        architecture: open_clip's name of the network.
        batch_size: Its own default where `None`.
    """
    line = [str(ensure_environment()), "inference", "--input_dataset", str(images), "--output_folder", str(output)]
    line += ["--input_format", "files", "--enable_text", "False", "--enable_metadata", "False"]
    line += ["--clip_model", f"open_clip:{architecture}/{checkpoint.absolute()}", "--num_prepro_workers", "2"]
    return line if batch_size is None else [*line, "--batch_size", str(batch_size)]


def _run(line: list[str]) -> None:
    certificates = {} if "UV_SYSTEM_CERTS" in os.environ else {"UV_SYSTEM_CERTS": "true"}
    done = subprocess.run(line, env={**os.environ, **certificates}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)} failed:\n{done.stderr[-3000:]}")


def main() -> None:
    """Becomes clip-retrieval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--architecture", default="ViT-B-16-quickgelu")
    parser.add_argument("--batch-size", type=int)
    args = parser.parse_args()
    line = command(args.images, args.checkpoint, args.output, args.architecture, args.batch_size)
    os.execve(line[0], line, {name: value for name, value in os.environ.items() if name != "PYTHONPATH"})


if __name__ == "__main__":
    main()
