"""A converted network is kept, found again by all it was made of, and never used in another's place."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from extractors import kept_networks
from extractors.inference import Network, Precision, kept_network, network_of

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
