"""A trained run, and the networks of its extractors, as ONNX files: what the vectors go through, without this project.

torch.export follows each module; onnxruntime then runs the file on other inputs, of other lengths, and a file that does
not give what torch gives is refused. Needs requirements-export.txt.
"""

import importlib
import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from extractors.base import Extractor
from extractors.deterministic import exact_inference
from pipeline.errors import ConfigError, RunError
from pipeline.export.card import Exported
from pipeline.files import atomic_path
from pipeline.protocol.vocabulary import MODALITIES, VERIFICATION_TASKS
from pipeline.scoring.model import Model
from pipeline.scoring.provenance import described
from pipeline.scoring.vectors import MediaVectors

TOLERANCE = 1e-5  # between torch and onnxruntime, of any value
_METADATA = "sbnet"  # key of the JSON in a file's metadata

ExportedT = TypeVar("ExportedT", bound=Extractor)


@dataclass(frozen=True)
class Graph:
    """One file to be: a module of one input and one output, whose axes named in `free` may have any length."""

    name: str  # of the file, without its suffix
    module: nn.Module
    input: str
    examples: Sequence[Tensor]  # of different lengths; the first is traced, all are checked
    free: Mapping[int, str]  # axis of the input -> its name
    output: str
    batch: int  # axis of the output that is the input's first
    about: Mapping[str, object]  # for the file's metadata


class _Embedder(nn.Module):
    """Vectors (N, D) to what a run compares, (S, N, E), as Model.embed gives it."""

    def __init__(self, model: Model, modality: str) -> None:
        super().__init__()
        self.methods = nn.ModuleList(model.methods)
        self.modality = modality
        self.is_ensemble = model.is_ensemble

    def forward(self, vectors: Tensor) -> Tensor:
        embeddings: list[Tensor] = [method.embed(self.modality, vectors) for method in self.methods]  # type: ignore[operator]
        if self.is_ensemble:
            return torch.cat(embeddings, dim=1)[None] / math.sqrt(len(embeddings))
        return torch.stack(embeddings)


class _Voice(nn.Module):
    """Spectrograms (B, 257, T) to the aggregator's vectors (B, 512) of unit norm."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, spectrograms: Tensor) -> Tensor:
        vectors: Tensor = self.network(spectrograms[:, None])
        return vectors


def run_graphs(model: Model) -> list[Graph]:
    """Face and voice branch of a run, of the modalities that it takes.

    Raises ConfigError for a method that has no embeddings: what it makes of a probe depends on the whole gallery.
    """
    if model.compares != "embeddings":
        raise ConfigError(
            f"method {model.settings['method']} scores {model.compares} and has no embeddings to export: call it "
            "through pipeline.scoring, or name a run of another method"
        )
    return [_branch(model, modality) for modality in MODALITIES if model.takes(modality)]


def _branch(model: Model, modality: str) -> Graph:
    width = model.methods[0].inputs(modality)
    assert width is not None, "asked of a modality that it takes"
    generator = torch.Generator().manual_seed(0)
    examples = [nn.functional.normalize(torch.randn(rows, width, generator=generator), dim=1) for rows in (3, 1, 7)]
    tasks = {task: VERIFICATION_TASKS[task] for task in model.calibrations}
    about = {
        "settings": dict(model.settings),
        "modality": modality,
        "extractor": dict(model.provenance.get(modality, {})),
        "calibration": {task: [asdict(own) for own in of_task] for task, of_task in model.calibrations.items()},
        "mean_calibration": {task: asdict(model.mean_calibration(*own.sides)) for task, own in tasks.items()},
        "score": "minus the squared L2 distance of two embeddings, for each of the first axis; their mean is the run's",
    }
    module = _Embedder(model, modality).eval()
    return Graph(modality, module, "vectors", examples, {0: "batch"}, "embeddings", 1, about)


def extractor_graphs(model: Model, vectors: MediaVectors) -> list[Graph]:
    """The networks that make a run's vectors, FaceNet and the utterance aggregator, of the modalities that it takes.

    `vectors` makes the extractors that the run was trained on. Raises ConfigError for extractors of another kind,
    CheckpointError and WeightsError where these cannot be had here.
    """
    makers: Mapping[str, Callable[[Model, MediaVectors], Graph]] = {"face": _facenet, "voice": _aggregator}
    return [makers[modality](model, vectors) for modality in MODALITIES if model.takes(modality)]


# Networks are taken from inside the extractors: a public name there would be another source, and another source is
# another fingerprint, for which everybody's media would be extracted anew.


def _facenet(model: Model, vectors: MediaVectors) -> Graph:
    from extractors.faces import facenet

    extractor = _extractor("face", facenet.FaceNet, model, vectors)
    shapes = [(batch, facenet.SIZE, facenet.SIZE, 3) for batch in (2, 1)]
    generator = torch.Generator().manual_seed(0)
    examples = [torch.randint(256, shape, generator=generator, dtype=torch.uint8) for shape in shapes]
    about = {"extractor": dict(model.provenance["face"]), "input": f"faces cut to {facenet.SIZE} px, RGB, 0 to 255"}
    return Graph("facenet", extractor.module, "crops", examples, {0: "batch"}, "vectors", 0, about)


def _aggregator(model: Model, vectors: MediaVectors) -> Graph:
    from extractors.voices import utterance_aggregator as voices

    extractor = _extractor("voice", voices.AggregatedVoice, model, vectors)
    generator = torch.Generator().manual_seed(0)
    waves = [torch.randn(batch, samples, generator=generator) for batch, samples in ((2, 48_000), (1, 17_000))]
    about = {
        "extractor": dict(model.provenance["voice"]),
        "input": f"spectrograms of an utterance at {voices.SAMPLE_RATE} Hz and then its reverse "
        "(extractors.voices.utterance_aggregator.spectrogram), whole and not in windows",
    }
    examples = [voices.frame_spectrogram(wave) for wave in waves]
    free = {0: "batch", 2: "frames"}
    module = _Voice(extractor.module).eval()
    return Graph("utterance_aggregator", module, "spectrograms", examples, free, "vectors", 0, about)


def _extractor(modality: str, wanted: type[ExportedT], model: Model, vectors: MediaVectors) -> ExportedT:
    """The extractor behind a run's vectors; see extractor_graphs."""
    origin = model.provenance.get(modality, {})
    if origin.get("extractor") != wanted.name:
        raise ConfigError(
            f"the run's {modality} vectors are of {described(origin)}; of {modality} extractors {wanted.name} alone "
            "can be exported: leave out --with-extractors"
        )
    extractor = vectors.extractor(modality)
    assert isinstance(extractor, wanted), "what is registered under its name"
    return extractor


def described_graphs(graphs: Sequence[Graph]) -> list[Exported]:
    """Files with their input and output, for the card."""
    found = []
    for graph in graphs:
        example = graph.examples[0]
        with exact_inference():
            result = graph.module(example)
        given = [graph.free.get(axis, str(size)) for axis, size in enumerate(example.shape)]
        made = ["batch" if axis == graph.batch else str(size) for axis, size in enumerate(result.shape)]
        kinds = [str(part.dtype).removeprefix("torch.") for part in (example, result)]
        shapes = [", ".join(axes) for axes in (given, made)]
        sides = zip((graph.input, graph.output), shapes, kinds, strict=True)
        words = [f"`{name}` ({shape}) {kind}" for name, shape, kind in sides]
        found.append(Exported(f"{graph.name}.onnx", *words))
    return found


def write_onnx(folder: Path, graphs: Sequence[Graph]) -> float:
    """Write each graph as <folder>/<name>.onnx, after a check by onnxruntime; the largest difference to torch.

    Raises ConfigError where a package is absent, RunError for a file that gives other values than torch, by more than
    TOLERANCE, on any of its examples: nothing of any graph is then left, so that a part is not taken for the whole.
    """
    paths = [folder / f"{graph.name}.onnx" for graph in graphs]
    try:
        return max(_write(path, graph) for path, graph in zip(paths, graphs, strict=True))
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


def _write(path: Path, graph: Graph) -> float:
    with atomic_path(path) as temporary:
        temporary.write_bytes(_exported(graph))
        difference = _difference(temporary, graph)
        if not difference <= TOLERANCE:  # NaN compares false
            raise RunError(
                f"{path} was not written: onnxruntime gives other values than torch, by {difference:.2g}; try the "
                "versions of requirements-export.txt"
            )
    return difference


def _exported(graph: Graph) -> bytes:
    """Bytes of the ONNX file: the same for equal networks, without the paths and names of the machine that made it."""
    onnx = _package("onnx")
    _package("onnxscript")  # torch's exporter needs it
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph.module,
            (graph.examples[0],),
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=[graph.input],
            output_names=[graph.output],
            dynamic_shapes=(dict(graph.free),),
        )
    assert program is not None, "with dynamo there is a program"
    proto = program.model_proto
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info):
        del part.metadata_props[:]
    onnx.helper.set_model_props(proto, {_METADATA: json.dumps(graph.about, sort_keys=True)})
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString(deterministic=True))


def _difference(path: Path, graph: Graph) -> float:
    """The largest difference of any value between onnxruntime and torch, on the examples."""
    session = _package("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = []
    for example in graph.examples:
        with exact_inference():
            wanted = graph.module(example).numpy()
        (given,) = session.run([graph.output], {graph.input: example.numpy()})
        found.append(float(np.abs(given - wanted).max()) if given.shape == wanted.shape else float("inf"))
    return max(found)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"the package {name} is absent ({error}): pip install -r requirements-export.txt") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter and its libraries log and warn of: their own steps, not the user's."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [noisy.level for noisy in loggers]
    for noisy in loggers:
        noisy.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for noisy, level in zip(loggers, levels, strict=True):
            noisy.setLevel(level)
