"""The released checkpoints against the outputs of the official code, and files that are none."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import CheckpointError
from pipeline.methods import load_official_checkpoint
from pipeline.methods.official import official_method
from pipeline.methods.sbnet import SingleBranch
from pipeline.methods.two_branch import TwoBranch
from tests.oracles import inputs, stored
from tests.oracles.seeded import single_branch_state, two_branch_state

ORDERS = ["face_only", "voice_only", "hefhev", "hevhef", "random", "vfvf", "fvfv"]


def checkpoint(folder: Path, state: dict[str, np.ndarray]) -> Path:
    """A state in a file of the form in which the authors released theirs."""
    path = folder / "checkpoint.pth.tar"
    torch.save({"epoch": 1, "state_dict": {name: torch.from_numpy(value) for name, value in state.items()}}, path)
    return path


def test_single_branch_gives_the_official_outputs(tmp_path: Path) -> None:
    network = load_official_checkpoint(checkpoint(tmp_path, single_branch_state()))
    assert isinstance(network, SingleBranch)
    assert not network.training
    with torch.no_grad():
        embedding, logits = network(torch.from_numpy(inputs.faces()))
    oracle = stored("fop")
    assert np.abs(embedding.numpy() - oracle["single/embedding"]).max() < 1e-5
    assert np.abs(logits.numpy() - oracle["single/logits"]).max() < 1e-5


def check_two_branch(
    network: TwoBranch, faces: np.ndarray, voices: np.ndarray, expected: dict[str, np.ndarray]
) -> None:
    assert isinstance(network, TwoBranch)
    with torch.no_grad():
        output = network(torch.from_numpy(faces), torch.from_numpy(voices))
    found = {"fused": output.embedding, "logits": output.logits, "face": output.face, "voice": output.voice}
    for name, value in found.items():
        assert np.abs(value.numpy() - expected[name]).max() < 1e-5, name


@pytest.mark.parametrize("fusion", ["gated", "linear"])
def test_two_branch_gives_the_official_outputs(tmp_path: Path, fusion: str) -> None:
    network = load_official_checkpoint(checkpoint(tmp_path, two_branch_state(fusion)))
    oracle = stored("fop")
    expected = {name: oracle[f"{fusion}/{name}"] for name in ("fused", "logits", "face", "voice")}
    check_two_branch(network, inputs.faces(), inputs.voices(), expected)


def fop_of_the_challenge(state: dict[str, np.ndarray], faces: np.ndarray, voices: np.ndarray) -> np.ndarray:
    """Distances by the formulas of mavceleb/mavceleb_baseline's retrieval_model.py and computeScore.py, in evaluation:
    linear, batch norm, ReLU, unit norm and, for gated fusion, tanh; then the Euclidean distance of face and voice.
    """

    def branch(name: str, inputs: np.ndarray) -> np.ndarray:
        part = {key.removeprefix(f"{name}.fc1."): value for key, value in state.items() if key.startswith(name)}
        linear = inputs @ part["0.weight"].T + part["0.bias"]
        scale = part["1.weight"] / np.sqrt(part["1.running_var"] + 1e-5)
        normed = np.maximum((linear - part["1.running_mean"]) * scale + part["1.bias"], 0.0)
        return np.asarray(np.tanh(normed / np.maximum(np.linalg.norm(normed, axis=1, keepdims=True), 1e-12)))

    return np.asarray(np.linalg.norm(branch("face_branch", faces) - branch("voice_branch", voices), axis=1))


def test_checkpoints_of_the_challenges_baseline_give_its_distances(tmp_path: Path) -> None:
    rng, face_width, voice_width, people, width = np.random.default_rng(0), 4096, 512, 64, 128
    shapes = {"logits_layer": (people, width), "fusion_layer.attention.1": (width, width)}
    shapes |= {"fusion_layer.attention.0.block.0": (width, 2 * width)}
    shapes |= {"face_branch.fc1.0": (width, face_width), "voice_branch.fc1.0": (width, voice_width)}
    state = {}
    for name, shape in shapes.items():
        state |= {f"{name}.weight": rng.normal(size=shape) / shape[1] ** 0.5, f"{name}.bias": rng.normal(size=shape[0])}
    for name in ("face_branch.fc1.1", "voice_branch.fc1.1", "fusion_layer.attention.0.block.1"):
        state |= {f"{name}.{leaf}": rng.uniform(0.5, 1.5, width) for leaf in ("weight", "running_var")}
        state |= {f"{name}.{leaf}": rng.normal(size=width) for leaf in ("bias", "running_mean")}
    state = {name: value.astype(np.float32) for name, value in state.items()}
    faces, voices = (rng.normal(size=(9, size)).astype(np.float32) for size in (face_width, voice_width))
    for name in [name for name in state if name.endswith("running_var")]:
        state[name.replace("running_var", "num_batches_tracked")] = np.array(3)
    path = checkpoint(tmp_path, state)
    name, _, method = official_method(path, "both")
    assert (name, method.inputs("face"), method.inputs("voice")) == ("two_branch", face_width, voice_width)
    with torch.no_grad():
        pair = [method.embed(sort, torch.from_numpy(one)) for sort, one in (("face", faces), ("voice", voices))]
    distances = (pair[0] - pair[1]).norm(dim=1).numpy()
    assert np.abs(distances - fop_of_the_challenge(state, faces, voices)).max() < 1e-5


@pytest.fixture(scope="module")
def released(shared: Path) -> dict[str, np.ndarray]:
    """Outputs of the official code with the released checkpoints."""
    with np.load(shared / "oracles" / "sbnet_official.npz", allow_pickle=False) as archive:
        return dict(archive)


@pytest.mark.parametrize("order", ORDERS)
def test_released_single_branches_give_the_official_outputs(
    shared: Path, released: dict[str, np.ndarray], order: str
) -> None:
    network = load_official_checkpoint(shared / "data" / "sbnet_official" / f"fop_facenet_fc2_{order}.pth.tar")
    for modality in ("face", "voice"):
        with torch.no_grad():
            embedding, logits = network(torch.from_numpy(released[modality]))
        assert np.abs(embedding.numpy() - released[f"single/{order}/{modality}/embedding"]).max() < 1e-5
        assert np.abs(logits.numpy() - released[f"single/{order}/{modality}/logits"]).max() < 1e-5


def test_the_released_two_branch_gives_the_official_outputs(shared: Path, released: dict[str, np.ndarray]) -> None:
    network = load_official_checkpoint(shared / "data" / "sbnet_official" / "twobranch_fop_gated_alpha1.pth.tar")
    expected = {name: released[f"two/gated/{name}"] for name in ("fused", "logits", "face", "voice")}
    check_two_branch(network, released["face"], released["voice"], expected)


def official_state() -> dict[str, torch.Tensor]:
    """A state as the official two-branch code with linear fusion names it."""
    torch.manual_seed(0)
    state = {"logits_layer.weight": torch.randn(5, 8), "logits_layer.bias": torch.randn(5)}
    for side in ("voice", "face"):
        state |= {f"{side}_branch.fc1.0.weight": torch.randn(8, 12), f"{side}_branch.fc1.0.bias": torch.randn(8)}
        state |= {
            f"{side}_branch.fc1.1.{part}": torch.rand(8) for part in ("weight", "bias", "running_mean", "running_var")
        }
        state[f"{side}_branch.fc1.1.num_batches_tracked"] = torch.tensor(3)
    return state | {"fusion_layer.weight1": torch.tensor([0.25]), "fusion_layer.weight2": torch.tensor([-2.0])}


def test_linear_fusion_loads_with_its_weights_on_the_right_sides(tmp_path: Path) -> None:
    torch.save({"epoch": 1, "state_dict": official_state()}, tmp_path / "linear.pth.tar")
    network = load_official_checkpoint(tmp_path / "linear.pth.tar")
    faces, voices = torch.randn(6, 12), torch.randn(6, 12)
    with torch.no_grad():
        output = network(faces, voices)
    torch.testing.assert_close(output.embedding, 0.25 * output.face - 2.0 * output.voice)


class Payload:
    """Unpickled, it would write a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (self.path, "w")


def test_a_checkpoint_that_carries_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    torch.save({"state_dict": Payload(str(trace))}, tmp_path / "evil.pth.tar")
    with pytest.raises(CheckpointError, match="more than tensors"):
        load_official_checkpoint(tmp_path / "evil.pth.tar")
    assert not trace.exists()


def corrupted(kind: str) -> bytes:
    buffer = io.BytesIO()
    state = official_state()
    if kind == "other network":
        state["conv.weight"] = torch.zeros(3)
    if kind == "layer missing":
        del state["face_branch.fc1.0.bias"]
    if kind == "wrong shape":
        state["face_branch.fc1.0.bias"] = torch.zeros(9)
    if kind == "scalar logits":
        state["logits_layer.weight"] = torch.zeros(())
    if kind == "poisoned":
        state["face_branch.fc1.0.bias"][3] = torch.nan
    content = {"state_dict": state} if kind != "no state" else {"epoch": 3}
    torch.save([1, 2] if kind == "a list" else content, buffer)
    data = buffer.getvalue()
    if kind == "truncated":
        return data[: len(data) // 2]
    if kind == "empty":
        return b""
    if kind == "text":
        return b"version https://git-lfs.github.com/spec/v1\n"
    if kind == "plain pickle":
        return pickle.dumps({"state_dict": 1})
    if kind == "other zip":
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            archive.writestr("hello.txt", "hello")
        return buffer.getvalue()
    return data


KINDS = [
    "other network",
    "layer missing",
    "wrong shape",
    "scalar logits",
    "poisoned",
    "no state",
    "a list",
    "truncated",
    "empty",
    "text",
    "plain pickle",
    "other zip",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_no_released_checkpoint_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.pth.tar"
    path.write_bytes(corrupted(kind))
    with pytest.raises(CheckpointError, match=r"model\.pth\.tar"):
        load_official_checkpoint(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_official_checkpoint(tmp_path / "nothing.pth.tar")
