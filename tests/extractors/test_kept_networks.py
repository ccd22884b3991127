"""A converted network is kept, found again by all it was made of, and never used in another's place."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from extractors import kept_networks
from extractors.base import NO_WEIGHTS, Extractor, ExtractorOptions, Weights
from extractors.faces import facenet
from extractors.faces.crop import SquareCrop
from extractors.faces.face import FaceExtractor
from extractors.inference import Network, Precision, kept_network, network_of
from extractors.voices import aggregator_weights
from extractors.voices.aggregator_network import untrained
from extractors.voices.utterance_aggregator import AggregatedVoice
from pipeline.errors import WeightsError
from pipeline.runtime.compat import import_facenet_pytorch

CPU = torch.device("cpu")
INPUT = np.array([0.1, 0.2, -0.05], np.float32)[None]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SBNET_HOME", str(tmp_path))
    monkeypatch.setenv("SBNET_CPU_BACKEND", "openvino")
    return tmp_path / "networks"


class Builder:
    """Builds a small network of one weight, and counts how often it is asked."""

    def __init__(self, weight: float = 2.0) -> None:
        self.weight, self.times = weight, 0

    def __call__(self) -> nn.Module:
        self.times += 1
        layer = nn.Linear(3, 3)
        nn.init.constant_(layer.weight, self.weight)
        nn.init.constant_(layer.bias, 0.0)
        return nn.Sequential(layer, nn.Tanh()).eval()


def made(
    build: Callable[[], nn.Module], identity: str = "a", rows: int = 1, precision: Precision = "float32"
) -> Network:
    return kept_network("tiny", identity, build, torch.zeros(rows, 3), CPU, precision)


def test_a_second_start_builds_nothing_and_gives_the_same_bytes(home: Path) -> None:
    build = Builder()
    first = made(build)(INPUT)[0]
    again = made(build)(INPUT)[0]
    assert build.times == 1 and first.tobytes() == again.tobytes()
    plain = network_of(Builder()(), torch.zeros(1, 3), CPU, "float32")
    np.testing.assert_allclose(first, plain(INPUT)[0], atol=1e-6)
    assert (
        made(build, precision="bfloat16").backend.startswith("openvino") and build.times == 1
    )  # compiled from one file
    (kept,) = home.iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["digests", "network.bin", "network.xml"]


def test_another_identity_example_or_version_is_another_network(monkeypatch: pytest.MonkeyPatch) -> None:
    two, three = Builder(2.0), Builder(3.0)
    made(two)
    assert not np.array_equal(made(three, identity="b")(INPUT)[0], made(two)(INPUT)[0])
    made(two, rows=2)
    monkeypatch.setattr(kept_networks.importlib.metadata, "version", lambda package: "0.0")
    made(two)
    assert (two.times, three.times) == (3, 1)


@pytest.mark.parametrize("name", ["network.xml", "network.bin", "digests"])
@pytest.mark.parametrize("how", ["changed", "cut", "removed"])
def test_a_damaged_one_is_made_anew_with_a_warning(
    name: str, how: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build = Builder()
    wanted = made(build)(INPUT)[0]
    (path,) = home.glob(f"*/{name}")
    whole = path.read_bytes()
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(whole[:-3] if how == "cut" else b"\xff" + whole[1:])
    assert made(build)(INPUT)[0].tobytes() == wanted.tobytes()
    assert build.times == 2 and "is made anew" in caplog.text
    assert len(path.read_bytes()) == len(whole) and len(list(home.iterdir())) == 1
    made(build)
    assert build.times == 2


def test_where_nothing_can_be_kept_the_bytes_are_the_same(home: Path) -> None:
    build = Builder()
    wanted = made(build)(INPUT)[0]
    for path in home.parent.glob("*/*/*"):
        path.unlink()
    for path in home.glob("*"):
        path.rmdir()
    home.rmdir()
    home.write_text("a file in the folder's place")
    assert made(build)(INPUT)[0].tobytes() == wanted.tobytes()
    assert build.times == 2 and home.is_file()


def test_one_made_meanwhile_by_another_process_is_left_in_place(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    inner = Builder()

    def slow() -> nn.Module:
        made(inner)  # the other process is first
        return Builder()()

    assert made(slow)(INPUT)[0].tobytes() == made(inner)(INPUT)[0].tobytes()
    assert inner.times == 1 and len(list(home.iterdir())) == 1 and not caplog.text


def test_of_one_name_the_last_used_are_kept(home: Path) -> None:
    for number in range(6):
        made(Builder(), identity=str(number))
        for age, path in enumerate(sorted(home.iterdir(), key=os.path.getmtime, reverse=True)):
            os.utime(path, (1e9 - age, 1e9 - age))
    made(first := Builder(), identity="2")  # used again: it outlives number 3
    made(Builder(), identity="6")
    assert len(list(home.iterdir())) == 4 and first.times == 0
    made(first, identity="2")
    made(third := Builder(), identity="3")
    assert (first.times, third.times) == (0, 1)


def test_torch_takes_the_module_itself(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_CPU_BACKEND", "torch")
    build = Builder()
    made(build)
    assert made(build).backend.startswith("torch") and build.times == 2 and not home.exists()


def test_a_damaged_one_that_cannot_be_removed_is_not_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = made(Builder())(INPUT)[0]
    (path,) = home.glob("*/network.bin")
    path.write_bytes(path.read_bytes()[::-1])
    monkeypatch.setattr(kept_networks.shutil, "rmtree", lambda *_, **__: None)  # another user's
    assert made(build := Builder())(INPUT)[0].tobytes() == wanted.tobytes()
    assert build.times == 1 and "is made anew" in caplog.text


def test_a_full_home_keeps_nothing_says_so_and_gives_the_same_bytes(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = made(Builder())(INPUT)[0]
    written = kept_networks._digests

    def full(folder: Path) -> str:
        if folder.is_relative_to(home):
            raise OSError(28, "No space left on device")
        return written(folder)

    (kept,) = home.iterdir()
    kept.rename(home.parent / "elsewhere")
    monkeypatch.setattr(kept_networks, "_digests", full)
    assert made(Builder())(INPUT)[0].tobytes() == wanted.tobytes()
    assert f"cannot be written below {home} ([Errno 28]" in caplog.text and not list(home.iterdir())


def test_what_was_just_made_stays_though_clocks_differ_and_killed_ones_leftovers_go(home: Path) -> None:
    for number in range(4):
        made(Builder(), identity=str(number))
    for path in home.iterdir():
        os.utime(path, (4e9, 4e9))
    for name, age in (("old", 1e9), ("new", 4e9)):
        (home / f".unfinished-{name}").mkdir()
        os.utime(home / f".unfinished-{name}", (age, age))
    made(Builder(), identity="9")
    made(build := Builder(), identity="9")
    assert build.times == 0
    assert [path.name for path in home.glob(".*")] == [".unfinished-new"] and len(list(home.glob("tiny-*"))) == 4


class Gained(nn.Module):
    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.gain


class GainedExtractor(FaceExtractor):
    """A user's extractor, whose option is in its network."""

    name, version, dimension = "gained", 1, 3

    class Options(ExtractorOptions):
        gain: float

    options: Options

    def load(self) -> Weights:
        identity, build = self.identity(NO_WEIGHTS), lambda: Gained(self.options.gain)
        self.network = kept_network("gained", identity, build, torch.zeros(1, 3), self.device, "float32")
        return NO_WEIGHTS

    def preparer(self) -> SquareCrop:
        return SquareCrop(160, 0)

    def __call__(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self.network(one)[0] for one in batch]


def test_an_extractors_identity_counts_options_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def gained(gain: float) -> float:
        (vector,) = GainedExtractor(GainedExtractor.Options(gain=gain), CPU)([np.ones((1, 3), np.float32)])
        return float(vector[0, 0])

    assert [gained(2.0), gained(5.0), gained(2.0)] == [2.0, 5.0, 2.0]
    first = GainedExtractor(GainedExtractor.Options(gain=2.0), CPU).identity(NO_WEIGHTS)
    monkeypatch.setattr(GainedExtractor, "version", 2)
    assert GainedExtractor(GainedExtractor.Options(gain=2.0), CPU).identity(NO_WEIGHTS) != first


@pytest.mark.parametrize("modality", ["face", "voice"])
def test_weights_replaced_while_they_are_loaded_are_refused_and_not_kept(
    modality: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "own.safetensors", tmp_path / "other.safetensors"
    if modality == "voice":
        for file, seed in ((path, 1), (other, 2)):
            save_file(untrained(seed).state_dict(), file)
        monkeypatch.setattr(aggregator_weights, "load_network", replacing(aggregator_weights.load_network, other))
        options = {"weights": str(path), "seed": 0, "max_seconds": 8.0, "precision": "float32"}
        kind: type[Extractor] = AggregatedVoice
    else:
        path.write_bytes(b"one")
        other.write_bytes(b"other")
        state = import_facenet_pytorch().InceptionResnetV1(pretrained=None).state_dict()
        monkeypatch.setattr(facenet, "read_facenet", replacing(lambda _: state, other))
        options = {"weights": str(path), "margin": 0, "precision": "float32"}
        kind = facenet.FaceNet
    with pytest.raises(WeightsError, match=r"own.safetensors has changed while it was read"):
        kind(kind.Options(**options), CPU)
    assert not home.exists()


def replacing(read: Callable[[Path], Any], other: Path) -> Callable[[Path], Any]:
    """The reader, in the moment before which another program puts its file in the place of what is read."""

    def reader(path: Path) -> Any:
        shutil.copyfile(other, path)
        return read(path)

    return reader
