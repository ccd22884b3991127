"""FaceNet, the aggregator and MTCNN: the same results as torch's on a CPU, and how fast."""

import os
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from extractors.deterministic import exact_inference
from extractors.faces.face import Detection, face_detector, face_extractor
from extractors.voices.aggregator_network import UtteranceAggregator
from extractors.voices.voice import voice_extractor
from pipeline.config import load_params
from pipeline.runtime.compat import import_facenet_pytorch
from pipeline.settings import Params
from tools.benchmarks.gpu.bench import ROOT, Bench, Row, operations
from tools.benchmarks.gpu.pictures import crops, demo_frames, waveforms

CPU = torch.device("cpu")
GOAL = 0.9999  # cosine of float32 vectors; what is below it is marked
_LOWERED_GOAL = 0.999  # of bfloat16
_OVERLAP = 0.95  # of boxes of the same face
_SPEECH = 4.0  # s, of an utterance


@cache
def params() -> Params:
    """params.yaml as it is shipped."""
    return load_params(ROOT / "params.yaml")


def random_facenet(folder: Path) -> Path:
    """InceptionResnetV1 with seeded random weights, as a file that `embed_faces.weights` takes."""
    path = folder / "random_facenet.safetensors"
    if not path.exists():
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            network = import_facenet_pytorch().InceptionResnetV1(pretrained=None)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return path


def _extractors(bench: Bench, device: torch.device, **options: object) -> tuple[Any, Any]:
    """Of faces and of voices, as params.yaml has them but for these options."""
    faces, voices = params().embed_faces, params().embed_voices
    own = {"weights": str(random_facenet(bench.out))} if bench.random_weights else {}
    return (
        face_extractor(faces.model_validate(faces.model_dump() | options | own), device),
        voice_extractor(voices.model_validate(voices.model_dump() | options), device),
    )


def _in_torch() -> Any:
    """What is built within runs in torch on a CPU, which is the reference."""
    return mock.patch.dict(os.environ, {"SBNET_CPU_BACKEND": "torch"})


def agreement(bench: Bench) -> list[Row]:
    """Smallest cosine between vectors of the device and torch's on a CPU, in either precision."""
    pictures, sounds = crops(32 if bench.cuda else 8), waveforms(8 if bench.cuda else 3, 3.0)
    with _in_torch():
        faces, voices = _extractors(bench, CPU)
        reference = [np.stack(faces(pictures)), np.stack(voices(sounds))]
    rows = []
    for precision, goal in _precisions().items():
        options = {"precision": precision} if "precision" in params().embed_faces.options else {}
        own = _extractors(bench, bench.device, **options)
        for name, one, batch, wanted in zip(("FaceNet", "aggregator"), own, (pictures, sounds), reference, strict=True):
            cosine = float((np.stack(one(batch)) * wanted).sum(axis=1).min())
            verdict = "" if cosine >= goal else f"BELOW {goal}"
            rows.append(Row(f"{name}, {precision}: smallest cosine to torch on a CPU", cosine, "", verdict))
    return rows


def _precisions() -> dict[str, float]:
    """That the extractors offer, and the cosine that each must reach."""
    lowered = {"bfloat16": _LOWERED_GOAL} if "precision" in params().embed_faces.options else {}
    return {"float32": GOAL, **lowered}


def decisions(bench: Bench) -> list[Row]:
    """MTCNN on frames of the shipped clips: the same faces, in the same boxes, and frames a second."""
    frames = demo_frames(64 if bench.cuda else 8)
    with _in_torch():
        wanted = face_detector(params().detect_faces, CPU)(frames)
    detector = face_detector(params().detect_faces, bench.device)
    found = detector(frames)
    same = sum((one is None) == (other is None) for one, other in zip(found, wanted, strict=True))
    both = [(one, other) for one, other in zip(found, wanted, strict=True) if one and other]
    overlap = min((_overlap(one, other) for one, other in both), default=1.0)
    verdict = "" if same == len(frames) and overlap >= _OVERLAP else "DIFFERS"
    seconds = bench.seconds(lambda: detector(frames), 2.0)
    height, width = frames[0].shape[:2]
    return [
        Row(f"MTCNN: frames of {len(frames)} with the same decision", float(same), "", verdict),
        Row(f"MTCNN: smallest overlap of {len(both)} boxes", overlap, "", verdict),
        Row(f"MTCNN, {width} x {height}", len(frames) / seconds, "frames/s"),
    ]


def _overlap(one: Detection, other: Detection) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(one.box[:2], other.box[:2]), np.minimum(one.box[2:], other.box[2:])
    shared = float(np.prod(np.maximum(high - low, 0.0)))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one.box, other.box)]
    return shared / (sum(areas) - shared)


def throughput(bench: Bench) -> list[Row]:
    """Both networks alone at full batches, with their share of the bfloat16 rate; and as the stages call them."""
    facenet, aggregator = import_facenet_pytorch().InceptionResnetV1(pretrained=None), UtteranceAggregator()
    rows = []
    for size in (64, 256, 1024) if bench.cuda else (4,):
        rows += _alone(bench, "FaceNet", facenet, torch.zeros(size, 3, 160, 160), size, "faces/s")
    for size in (8, 32) if bench.cuda else (1,):
        spectrograms = torch.zeros(size, 1, 257, round(2 * 100 * _SPEECH))
        rows += _alone(bench, "aggregator", aggregator, spectrograms, size * _SPEECH, "s of speech/s")
    faces, voices = _extractors(bench, bench.device)
    pictures, sounds = crops(512 if bench.cuda else 8), waveforms(64 if bench.cuda else 2, _SPEECH)
    called = "as embed_faces calls it, pixels in and vectors out"
    rows.append(Row(f"FaceNet, {called}", len(pictures) / bench.seconds(lambda: faces(pictures)), "faces/s"))
    speech = len(sounds) * _SPEECH
    rows.append(Row("aggregator, as embed_voices calls it", speech / bench.seconds(lambda: voices(sounds)), "s/s"))
    return rows


def _alone(bench: Bench, name: str, network: nn.Module, inputs: torch.Tensor, items: float, unit: str) -> list[Row]:
    """A row for either precision; memory is laid out channels last, which convolutions of a GPU want."""
    network = network.eval().to(bench.device, memory_format=torch.channels_last)
    inputs = inputs.to(bench.device, memory_format=torch.channels_last)
    rows = []
    for precision in ("float32", "bfloat16"):
        with exact_inference(), torch.autocast(bench.device.type, torch.bfloat16, precision == "bfloat16"):
            work = operations(lambda: network(inputs))
            seconds = bench.seconds(lambda: network(inputs))
        share = _share(bench, work / seconds)
        rows.append(Row(f"{name} alone, batch {len(inputs)}, {precision}", items / seconds, unit, share))
    return rows


def _share(bench: Bench, rate: float) -> str:
    card = bench.measured.get("bfloat16")
    return f"{rate / 1e12:.3g} TFLOP/s" + (f", {100 * rate / 1e12 / card:.0f} % of the bfloat16 rate" if card else "")
