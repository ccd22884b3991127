"""Networks run in OpenVINO as in torch, with bytes that depend on nothing but the input."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from extractors.inference import Network, Precision, cpu_backend, network_of, side_by_side, side_by_side_at_most
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
Floats = NDArray[np.float32]


class TwoHeads(nn.Module):
    """(B, 3, H, W) -> maps (B, 8, H / 2, W / 2) and their means (B, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.PReLU(16), nn.MaxPool2d(2, ceil_mode=True))
        self.second = nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.second(self.first(images))
        return maps, maps.mean(dim=(2, 3))


def two_heads(precision: Precision = "float32", free: tuple[int, ...] = ()) -> tuple[Network, nn.Module]:
    torch.manual_seed(0)
    module = TwoHeads().eval()
    return network_of(module, torch.zeros(1, 3, 32, 24), CPU, precision, free), module


def images(count: int, height: int = 32, width: int = 24) -> list[Floats]:
    return list(np.random.default_rng(0).standard_normal((count, 1, 3, height, width)).astype(np.float32))


def cosine(a: Floats, b: Floats) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("backend", ["openvino", "torch"])
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.9999999), ("bfloat16", 0.999)])
def test_outputs_are_the_modules_in_their_order(
    backend: str, precision: Precision, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBNET_CPU_BACKEND", backend)
    network, module = two_heads(precision)
    assert network.backend.startswith(backend) and network.alone
    (image,) = images(1)
    with torch.no_grad():
        wanted = [part.numpy() for part in module(torch.from_numpy(image))]
    given = network(image)
    assert [part.shape for part in given] == [part.shape for part in wanted]
    assert all(part.dtype == np.float32 for part in given)
    assert all(cosine(own, other) > least for own, other in zip(given, wanted, strict=True))


def test_float32_is_not_lowered_where_the_cpu_has_something_faster() -> None:
    network, module = two_heads()
    (image,) = images(1)
    with torch.no_grad():
        wanted = module(torch.from_numpy(image))[0].numpy()
    np.testing.assert_allclose(network(image)[0], wanted, atol=1e-6)


def test_a_cpu_without_bfloat16_computes_in_float32_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (image,) = images(1)
    exact = two_heads("float32")[0](image)[0]
    monkeypatch.setattr("extractors.inference._has_bfloat16", lambda core: False)
    network, _ = two_heads("bfloat16")
    assert "precision bfloat16 runs in float32" in caplog.text and network.backend.endswith("float32")
    assert network(image)[0].tobytes() == exact.tobytes()


@pytest.mark.parametrize("threads", ["1", "2", "no number"])
def test_lanes_are_the_cores_of_the_process_and_no_more_than_omp_num_threads(
    threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extractors.inference.os.sched_getaffinity", lambda _: {0, 3, 4})
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert side_by_side_at_most() == (int(threads) if threads.isdecimal() else 3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_bytes_are_the_same_alone_and_side_by_side_and_in_another_order(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, _ = two_heads(precision)
    inputs = images(20)
    alone = [network(image)[0].tobytes() for image in inputs]
    beside = [parts[0].tobytes() for parts in side_by_side(network, inputs, network.lanes)]
    backwards = [parts[0].tobytes() for parts in side_by_side(network, inputs[::-1], network.lanes)][::-1]
    another, _ = two_heads(precision)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    single, _ = two_heads(precision)
    assert single.lanes == 1 and [single(image)[0].tobytes() for image in inputs] == alone
    crowded = [parts[0].tobytes() for parts in side_by_side(another, inputs, 7)]
    assert alone == beside == backwards == crowded


def test_free_axes_take_any_length() -> None:
    network, module = two_heads(free=(2, 3))
    for height, width in ((12, 12), (33, 47), (200, 150), (12, 12)):
        (image,) = images(1, height, width)
        with torch.no_grad():
            wanted = module(torch.from_numpy(image))[0].numpy()
        np.testing.assert_allclose(network(image)[0], wanted, atol=1e-5)


def test_side_by_side_keeps_the_order_and_passes_errors_on() -> None:
    assert side_by_side(lambda number: number**2, range(50), 3) == [number**2 for number in range(50)]
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda number: 1 / number, [1, 0], 2)


def test_side_by_side_within_side_by_side_ends() -> None:
    def rows(number: int) -> list[int]:
        return side_by_side(lambda other: number * other, range(3), 2)

    found: list[list[int]] = []
    asking = threading.Thread(target=lambda: found.extend(side_by_side(rows, range(4), 2)), daemon=True)
    asking.start()
    asking.join(timeout=20)
    assert found == [[number * other for other in range(3)] for number in range(4)]


def test_an_unknown_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_CPU_BACKEND", "onnx")
    with pytest.raises(ConfigError, match="SBNET_CPU_BACKEND='onnx': use openvino or torch"):
        cpu_backend()


def test_without_openvino_torch_runs_with_a_warning_or_openvino_is_asked_for_in_vain(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("SBNET_CPU_BACKEND", raising=False)
    monkeypatch.setattr("extractors.inference.importlib.util.find_spec", lambda _: None)
    assert cpu_backend() == "torch" and "openvino is not installed" in caplog.text
    monkeypatch.setenv("SBNET_CPU_BACKEND", "openvino")
    with pytest.raises(ConfigError, match="it is not installed"):
        cpu_backend()


_MAKES_ONE = """
import socket, sys, torch
def refused(*_): raise SystemExit("the network was used")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refused
from extractors.inference import network_of
network = network_of(torch.nn.Linear(3, 2), torch.zeros(1, 3), torch.device("cpu"), "float32")
assert network.backend.startswith("openvino"), network.backend
loaded = [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module]
assert not loaded, loaded
"""


def test_nothing_is_reported_over_the_network_and_nothing_written_into_the_users_home(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "SBNET_CPU_BACKEND": "openvino", "CI": ""}
    command = [sys.executable, "-c", _MAKES_ONE]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


_FIRST_USE_BY_THREADS = """
import os, signal, sys, threading, time
from extractors.inference import _openvino
library, stuck = _openvino(), 0
for attempt in range(60):
    child = os.fork()
    if not child:
        begun = []
        def first() -> None:
            while not begun:
                pass
            library.Type.f32.to_dtype()  # what every inference does with its inputs
        threads = [threading.Thread(target=first, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.01)
        begun.append(True)
        for thread in threads:
            thread.join()
        os._exit(0)
    until = time.monotonic() + 10
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            stuck += 1
            break
        time.sleep(0.002)
print(stuck)
"""


def test_first_inferences_of_threads_do_not_lock_each_other_out() -> None:
    command = [sys.executable, "-c", _FIRST_USE_BY_THREADS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) == 0  # 23 of the sixty, where OpenVINO makes its table of types in the threads
