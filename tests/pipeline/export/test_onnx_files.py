"""ONNX files give what torch gives, on any number of rows and frames, and hold no trace of the machine."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from extractors.faces.facenet import FaceNet
from extractors.voices.utterance_aggregator import AggregatedVoice, spectrogram
from pipeline.errors import ConfigError, RunError
from pipeline.export.onnx_files import Graph, described_graphs, extractor_graphs, run_graphs, write_onnx
from pipeline.methods import Sizes, build_method
from pipeline.runtime.compat import import_facenet_pytorch
from pipeline.scoring.calibration import Calibration
from pipeline.scoring.model import Model
from pipeline.scoring.vectors import MediaVectors
from tests.media_factory import noise
from tests.pipeline.settings_for_training import train_settings

CLOSE = 1e-5
CPU = torch.device("cpu")
SIZES = Sizes(24, 16, 5)


def model_of(provenance: dict[str, dict[str, object]] | None = None, **changes: object) -> Model:
    """Two networks with random weights and batch norms as after training."""
    settings = train_settings(**{"seeds": [0, 1], **changes})
    methods = []
    for seed in settings.seeds:
        generator = torch.Generator().manual_seed(seed)
        method = build_method(settings, SIZES, generator).eval()
        for part in method.modules():
            if isinstance(part, nn.BatchNorm1d):
                nn.init.normal_(part.running_mean, generator=generator)
                nn.init.uniform_(part.running_var, 0.5, 2.0, generator=generator)
        methods.append(method)
    calibrations = {"cross_modal": [Calibration(9, 2.0, -1.0, {"eer": -0.5})] * 2}
    of_mean = {"cross_modal": Calibration(9, 3.0, -1.5, {"eer": -0.4})}
    return Model(methods, settings.model_dump(), SIZES, (3, 3), provenance or {}, calibrations, of_mean)


def given_by(path: Path, inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (name,) = (one.name for one in session.get_inputs())
    (outputs,) = session.run(None, {name: inputs})
    return np.asarray(outputs)


def unit(rows: int, width: int) -> np.ndarray:
    vectors = np.random.default_rng(rows).standard_normal((rows, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "sbnet"},  # one branch for both widths: the narrower one is padded
        {"method": "two_branch", "ensemble": "seeds"},
        {"method": "paeff", "loss": "own"},
    ],
    ids=str,
)
def test_branches_give_the_models_embeddings_of_any_number_of_vectors(
    changes: dict[str, object], tmp_path: Path
) -> None:
    model = model_of(**changes)
    assert write_onnx(tmp_path, run_graphs(model)) <= CLOSE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["face.onnx", "voice.onnx"]
    for modality, width in (("face", 24), ("voice", 16)):
        for rows in (1, 2, 33):
            vectors = unit(rows, width)
            wanted = model.embed(modality, vectors)
            assert np.abs(given_by(tmp_path / f"{modality}.onnx", vectors) - wanted).max() <= CLOSE


def test_file_says_what_its_scores_mean_and_nothing_of_the_machine(tmp_path: Path) -> None:
    (face, _) = run_graphs(model := model_of({"face": {"extractor": "mine"}, "voice": {"extractor": "theirs"}}))
    for folder in ("first", "again"):
        write_onnx(tmp_path / folder, [face])
    data = (tmp_path / "first" / "face.onnx").read_bytes()
    assert data == (tmp_path / "again" / "face.onnx").read_bytes()
    for trace in (b"site-packages", b".py", str(Path.cwd()).encode()):
        assert trace not in data
    proto = onnx.load_from_string(data)
    onnx.checker.check_model(proto, full_check=True)
    (entry,) = proto.metadata_props
    about = json.loads(entry.value)
    assert entry.key == "sbnet" and about["settings"] == json.loads(json.dumps(model.settings))
    assert about["extractor"] == {"extractor": "mine"}
    assert about["calibration"]["cross_modal"][1]["slope"] == 2.0
    assert about["mean_calibration"]["cross_modal"]["thresholds"] == {"eer": -0.4} and "mean" in about["score"]
    axes = [axis.dim_param or axis.dim_value for axis in proto.graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", 24]
    (described,) = described_graphs([face])
    assert described.input == "`vectors` (batch, 24) float32"
    assert described.output == "`embeddings` (2, batch, 16) float32"


def test_run_of_one_modality_has_the_files_of_what_it_takes() -> None:
    assert [graph.name for graph in run_graphs(model_of(modality="face"))] == ["face"]  # voices are narrower
    assert [graph.name for graph in run_graphs(model_of())] == ["face", "voice"]


def test_method_without_embeddings_is_refused() -> None:
    with pytest.raises(ConfigError, match="svhf scores galleries and has no embeddings to export"):
        run_graphs(model_of(method="svhf", loss="own"))


class Restless(nn.Module):
    """Gives something else at every call."""

    def forward(self, vectors: Tensor) -> Tensor:
        return vectors + torch.rand_like(vectors)


def test_file_that_gives_other_values_than_torch_is_not_left_behind(tmp_path: Path) -> None:
    sound, other = (
        Graph(name, module.eval(), "vectors", [torch.zeros(2, 4)], {0: "batch"}, "values", 0, {})
        for name, module in (("a", nn.Identity()), ("x", Restless()))
    )
    with pytest.raises(RunError, match=r"x\.onnx was not written: onnxruntime gives other values than torch, by "):
        write_onnx(tmp_path, [sound, other])
    assert not list(tmp_path.iterdir()), "nor is the sound one beside it"


def test_absent_package_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"onnxscript is absent .*pip install -r requirements-export\.txt"):
        write_onnx(tmp_path, run_graphs(model_of())[:1])
    assert not list(tmp_path.iterdir())


def extractors(folder: Path) -> tuple[FaceNet, AggregatedVoice]:
    """Both, with random weights: of FaceNet those of a file."""
    torch.manual_seed(0)
    weights = folder / "facenet.safetensors"
    save_file(import_facenet_pytorch().InceptionResnetV1(pretrained=None).state_dict(), weights)
    face = FaceNet.Options(weights=str(weights), margin=0, precision="float32")
    voice = AggregatedVoice.Options(weights="untrained", seed=0, max_seconds=20.0, precision="float32")
    return FaceNet(face, CPU), AggregatedVoice(voice, CPU)


class Here(MediaVectors):
    """Extractors that are there already, so that no detector is loaded for them."""

    def __init__(self, face: FaceNet, voice: AggregatedVoice) -> None:
        self.made = {"face": face, "voice": voice}

    def extractor(self, modality: str) -> FaceNet | AggregatedVoice:  # type: ignore[override]
        return self.made[modality]


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Here, dict[str, Graph]]:
    """Both extractors, and the graphs of their networks."""
    face, voice = extractors(tmp_path_factory.mktemp("weights"))
    model = model_of({"face": face.provenance(), "voice": voice.provenance()})
    here = Here(face, voice)
    return here, {graph.name: graph for graph in extractor_graphs(model, here)}


@pytest.mark.slow
def test_facenet_gives_its_vectors_of_any_number_of_crops(
    networks: tuple[Here, dict[str, Graph]], tmp_path: Path
) -> None:
    here, graphs = networks
    assert write_onnx(tmp_path, [graphs["facenet"]]) <= CLOSE
    crops = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3)).astype(np.uint8)
    wanted = np.stack(here.made["face"](list(crops)))
    assert np.abs(given_by(tmp_path / "facenet.onnx", crops) - wanted).max() <= CLOSE


def test_aggregator_gives_its_vectors_of_utterances_of_any_length(
    networks: tuple[Here, dict[str, Graph]], tmp_path: Path
) -> None:
    here, graphs = networks
    assert write_onnx(tmp_path, [graphs["utterance_aggregator"]]) <= CLOSE
    for seconds in (1.0, 2.37):
        waves = [noise(seconds, 16000, seed) for seed in (1, 2)]
        inputs = np.stack([spectrogram(wave) for wave in waves])
        found = given_by(tmp_path / "utterance_aggregator.onnx", inputs)
        assert np.abs(found - np.stack(here.made["voice"](waves))).max() <= CLOSE


def test_vectors_of_another_extractor_are_refused_by_name(tmp_path: Path) -> None:
    model = model_of({"face": {"extractor": "mine"}, "voice": {"extractor": "utterance_aggregator"}})
    with pytest.raises(
        ConfigError, match=r"face vectors are of mine; of face extractors facenet alone can be exported"
    ):
        extractor_graphs(model, MediaVectors(model.provenance, "model", CPU))
