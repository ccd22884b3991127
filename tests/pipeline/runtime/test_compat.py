"""The compatibility module, in interpreters of its own: which modules are loaded is what it is about."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.runtime.compat import non_maximum_suppression

ROOT = Path(__file__).parents[3]

# Both libraries load their native half with this function; refusing breaks an install that fits, too.
BROKEN_NATIVE = """
def refuse(path):
    raise OSError(f"Could not load this library: {path}")
torch.ops.load_library = refuse
"""


def run(script: str, *search: Path) -> str:
    """Run a script in a fresh interpreter with `search` before everything else on the path; its standard output."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [*search, ROOT])), "OMP_NUM_THREADS": "1"}
    header = (
        "import sys, torch\n"
        "from pipeline.runtime.compat import import_facenet_pytorch, import_torchaudio, import_torchvision\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", header + script], capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def package(folder: Path, name: str, code: str) -> None:
    """A package that stands for an install of its own kind."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)


def naive_suppression(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Greedy suppression box by box, in plain loops."""

    def overlap(a: np.ndarray, b: np.ndarray) -> np.floating:
        width = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]))
        height = max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1]))
        union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
        return width * height / union if union else np.float32(0)

    kept: list[int] = []
    for candidate in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(float(overlap(boxes[winner], boxes[candidate])) <= threshold for winner in kept):
            kept.append(candidate)
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_suppression_equals_a_naive_loop(threshold: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    start = generator.uniform(0, 60, (120, 2))
    boxes = np.hstack([start, start + generator.uniform(0, 50, (120, 2))]).astype(np.float32)
    boxes[::10] = boxes[0]  # doubles
    boxes[5::20, 2:] = boxes[5::20, :2]  # no area
    scores = generator.integers(0, 12, 120).astype(np.float32) / 12  # many ties
    kept = non_maximum_suppression(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == naive_suppression(boxes, scores, threshold)


def test_overlap_at_the_threshold_itself_is_kept() -> None:
    boxes = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]])  # intersection over union: exactly one half
    scores = torch.tensor([0.9, 0.8])
    assert non_maximum_suppression(boxes, scores, 0.5).tolist() == [0, 1]
    assert non_maximum_suppression(boxes, scores, 0.4999).tolist() == [0]


def test_suppression_of_nothing_keeps_nothing() -> None:
    assert non_maximum_suppression(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def test_suppression_refuses_other_shapes() -> None:
    with pytest.raises(RuntimeError, match=r"boxes \(N, 4\)"):
        non_maximum_suppression(torch.zeros(3, 5), torch.zeros(3), 0.5)


def test_without_their_native_halves_both_libraries_do_what_we_use_and_refuse_the_rest() -> None:
    output = run(
        BROKEN_NATIVE
        + """
vision, audio = import_torchvision(), import_torchaudio()
assert import_torchvision() is vision and import_torchaudio() is audio and sys.modules["torchvision"] is vision

boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
scores = torch.tensor([0.5, 0.9, 0.1])
from torchvision.ops import batched_nms, nms
assert nms(boxes, scores, 0.5).tolist() == [1, 2]
assert batched_nms(boxes, scores, torch.tensor([0, 1, 0]), 0.5).tolist() == [1, 0, 2]

from torchvision import transforms
assert transforms.Resize(8)(torch.rand(3, 16, 16)).shape == (3, 8, 8)
import torchaudio.compliance.kaldi, torchaudio.transforms
assert torchaudio.transforms.Spectrogram(n_fft=512)(torch.rand(1, 16000)).shape[1] == 257
assert torchaudio.compliance.kaldi.fbank(torch.rand(1, 16000), num_mel_bins=80).shape == (98, 80)
assert torchaudio.transforms.Resample(44100, 16000)(torch.rand(1, 44100)).shape == (1, 16000)

boxes, probabilities = import_facenet_pytorch().MTCNN().detect(torch.zeros(64, 64, 3).numpy())
assert boxes is None

for native in (
    lambda: vision.ops.roi_pool(torch.rand(1, 3, 8, 8), torch.zeros(1, 5), 4),
    lambda: audio.functional.forced_align(torch.rand(1, 8, 4), torch.ones(1, 2, dtype=torch.int32)),
):
    try:
        native()
    except RuntimeError as error:
        print(error)
"""
    )
    vision, audio = output.splitlines()
    assert "C++ ops" in vision and "forced_align needs torchaudio's native half" in audio


def test_a_working_install_is_left_untouched(tmp_path: Path) -> None:
    package(tmp_path, "torchvision", "native = True")
    package(tmp_path, "torchaudio", "from . import _extension\n")
    (tmp_path / "torchaudio" / "_extension.py").write_text("native = True")
    output = run(
        """
vision, audio = import_torchvision(), import_torchaudio()
assert vision.native and audio._extension.native and sys.modules["torchaudio._extension"] is audio._extension
print(hasattr(torch.ops.torchvision, "nms"))
""",
        tmp_path,
    )
    assert output == "False\n"


def test_operators_that_an_install_brings_are_the_ones_that_run(tmp_path: Path) -> None:
    native = """
import torch
torch.library.define("torchvision::nms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
torch.library.impl("torchvision::nms", "CPU", lambda dets, scores, iou_threshold: torch.tensor([42]))
"""
    package(tmp_path, "torchvision", native)
    call = "import_torchvision(); print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).tolist())"
    assert run(call, tmp_path) == "[42]\n"
    package(tmp_path / "torchvision", "broken", "")  # the same operators, but an import that fails for another reason
    (tmp_path / "torchvision" / "__init__.py").write_text(native + 'raise RuntimeError("CUDA versions differ")')
    caught = "try:\n    import_torchvision()\nexcept RuntimeError as error:\n    print(error)"
    assert run(caught, tmp_path) == "CUDA versions differ\n"


def test_an_absent_library_stays_an_import_error() -> None:
    output = run(
        """
for name, load in (("torchvision", import_torchvision), ("torchaudio", import_torchaudio)):
    sys.modules[name] = None
    try:
        load()
    except ImportError as error:
        print(type(error).__name__, error.name)
"""
    )
    assert output == "ModuleNotFoundError torchvision\nModuleNotFoundError torchaudio\n"
