"""What runs a network fastest on one core: `python -m tools.benchmarks.backends [--repeats 4]`.

FaceNet on a face and the aggregator on a second of speech (out of four), in torch, ONNX Runtime and OpenVINO, which
take turns. CPU time, because it is the same on a busy machine. Cosines are the least, to torch in float32. Needs
requirements-export.txt.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from extractors.faces.facenet import SIZE, FromPixels
from extractors.faces.facenet_weights import facenet_weights, read_facenet
from extractors.inference import network_of
from extractors.pretrained import load_into
from extractors.voices.aggregator_network import Residuals, folded
from extractors.voices.aggregator_weights import aggregator_weights
from pipeline.runtime.compat import import_facenet_pytorch

Run = Callable[[np.ndarray], np.ndarray]
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """A network and what it is given."""

    name: str
    module: nn.Module
    inputs: Sequence[np.ndarray]
    units: float  # faces, or seconds of speech, in all inputs


def cases() -> list[Case]:
    """FaceNet on noise of its size, and the aggregator on 4 s of it and its reverse."""
    rng = np.random.default_rng(0)
    facenet = import_facenet_pytorch().InceptionResnetV1(pretrained=None)
    load_into(facenet, read_facenet(facenet_weights("casia-webface")[1]), "casia-webface")
    voices = folded(aggregator_weights("distilled", 0)[1]())
    faces = [rng.integers(0, 256, (1, SIZE, SIZE, 3), np.uint8) for _ in range(8)]
    spectrograms = [rng.standard_normal((1, 1, 257, 801)).astype(np.float32) for _ in range(2)]
    return [
        Case("FaceNet, a face", FromPixels(facenet).eval(), faces, 8.0),
        Case("aggregator, a second", Residuals(voices).eval(), spectrograms, 8.0),
    ]


def runs_of(case: Case, folder: Path) -> dict[str, Run]:
    """Whatever runs it, by name; the first is the reference."""
    example = torch.from_numpy(case.inputs[0])
    case.module.requires_grad_(False)
    path = folder / "network.onnx"
    torch.onnx.export(case.module, (example,), path, dynamo=True, verbose=False, external_data=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    fast = {kind: network_of(case.module, example, _CPU, kind) for kind in ("float32", "bfloat16")}
    module = case.module.to(memory_format=torch.channels_last)
    return {
        "torch float32": lambda array: module(torch.from_numpy(array)).numpy(),
        "torch bfloat16": lambda array: _lowered(module, array),
        "ONNX Runtime float32": lambda array: session.run(None, {name: array})[0],
        "OpenVINO float32": lambda array: fast["float32"](array)[0],
        "OpenVINO bfloat16": lambda array: fast["bfloat16"](array)[0],
    }


def _lowered(module: nn.Module, array: np.ndarray) -> np.ndarray:
    with torch.autocast("cpu", torch.bfloat16):
        return module(torch.from_numpy(array)).float().numpy()


def measured(case: Case, folder: Path, repeats: int) -> list[str]:
    """A line of the table for each run."""
    runs = runs_of(case, folder)
    times: dict[str, list[float]] = {name: [] for name in runs}
    outputs: dict[str, np.ndarray] = {}
    for _ in range(1 + repeats):
        for name, run in runs.items():
            start = time.process_time()
            found = [run(array) for array in case.inputs]
            times[name].append(1e3 * (time.process_time() - start) / case.units)
            outputs[name] = np.stack(found).reshape(len(found), -1).astype(np.float64)
    reference = outputs["torch float32"]
    lines = []
    for name, vectors in outputs.items():
        norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(reference, axis=1)
        cosine = ((vectors * reference).sum(axis=1) / norms).min()
        lines.append(f"| {case.name} | {name} | {statistics.median(times[name][1:]):.1f} ms | {cosine:.7f} |\n")
    return lines


def main() -> None:
    """Measure all and write a table."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.backends", description=__doc__)
    parser.add_argument("--repeats", type=int, default=4)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    sys.stdout.write("| network | in | CPU time | cosine, least |\n|---|---|---|---|\n")
    for case in cases():
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            sys.stdout.writelines(measured(case, Path(folder), repeats))
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")


if __name__ == "__main__":
    main()
