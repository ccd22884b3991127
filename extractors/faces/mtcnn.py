"""MTCNN on frames of any size: one face a frame, by a stated rule."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from extractors.base import ExtractorOptions, Weights
from extractors.deterministic import exact_inference
from extractors.faces.face import DETECTORS, Detection, Detector, choose_face
from extractors.faces.mtcnn_cascade import OUTPUT_SIZE, REFINE_SIZE, Net, Nets, detect
from extractors.inference import Network, kept_network, side_by_side
from pipeline.errors import ExtractionError, WeightsError
from pipeline.extraction.fingerprint import fingerprint_of
from pipeline.files import sha256_of
from pipeline.runtime.compat import import_facenet_pytorch
from pipeline.runtime.threads import one_thread
from pipeline.settings import Ratio

# Frames of one size that go through together. On a CPU P-Net takes each by itself, but Python's part, half the
# time of a small frame, is shared; lanes waited for each other there, since only one of them can be in it.
_BATCH, _PIXELS = 16, 1 << 23  # at most; the second bounds memory where max_side is large
# Crops that R- and O-Net get at a time on a CPU: more gain nothing, and every other count would have to be compiled.
_REFINED, _CONFIRMED = 8, 2


@DETECTORS.register("mtcnn")
class MTCNN(Detector):
    """`detector: mtcnn`: the networks that ship inside facenet-pytorch, Zhang et al. (2016).

    Its boxes are those of facenet-pytorch's MTCNN() to a thousandth of a px: tools/benchmarks/detection.py compares.
    On a CPU the nets take inputs of fixed sizes, each on one core, and as many run side by side as there are cores: a
    frame's bytes depend neither on its neighbours nor on the machine's cores. There is no bfloat16: P-Net's offsets,
    rounded to it, move boxes by up to 9 px.
    """

    version = 2  # of the arithmetic here, in face.py, mtcnn_cascade.py and area_means.py
    independent = True

    class Options(ExtractorOptions):
        """Its keys of `detect_faces:`."""

        choose: Literal["largest", "central"]  # which of a frame's faces
        min_face: Annotated[int, Field(ge=12)]  # px in the scaled frame; 12 is the input of the first net
        max_side: Annotated[int, Field(ge=64)]  # px, longer side of a frame after scaling down
        thresholds: Annotated[list[Ratio], Field(min_length=3, max_length=3)]  # of P-, R- and O-Net
        min_probability: Ratio  # below it a frame counts as without a face

    options: Options

    def load(self) -> Weights:
        """Loads the three networks."""
        files = {net: _library() / "data" / f"{net}.pt" for net in ("pnet", "rnet", "onet")}
        digest = fingerprint_of({net: sha256_of(file) for net, file in files.items()})
        label = "MTCNN, as facenet-pytorch ships it"
        weights = Weights("facenet-pytorch", digest, label, trained_on=("WIDER FACE", "CelebA"))
        self._lanes = 1
        self._nets = self._on_device({net: partial(_read_net, file) for net, file in files.items()}, weights)
        return weights

    def _on_device(self, build: Mapping[str, Callable[[], nn.Module]], weights: Weights) -> Nets:
        if self.device.type != "cpu":
            self.backend = f"torch {torch.__version__}, {self.device.type}"
            return Nets(*(build[net]().to(self.device) for net in ("pnet", "rnet", "onet")))  # the pixels are there
        refined, confirmed = (
            torch.zeros(count, 3, side, side) for count, side in ((_REFINED, REFINE_SIZE), (_CONFIRMED, OUTPUT_SIZE))
        )
        whole, free = torch.zeros(1, 3, 60, 80), (2, 3)
        propose, refine, output = (
            kept_network(f"mtcnn-{net}", self.identity(weights), build[net], example, self.device, "float32", axes)
            for net, example, axes in (("pnet", whole, free), ("rnet", refined, ()), ("onet", confirmed, ()))
        )
        self._lanes, self.backend = propose.lanes, propose.backend
        return Nets(_in_batches(propose, 1), _in_batches(refine, _REFINED), _in_batches(output, _CONFIRMED))

    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detection | None]:
        """The chosen face of each RGB uint8 frame (H, W, 3), in px of that frame; None where none is sure enough.

        Frames may differ in size. A frame whose longer side exceeds max_side is scaled down first, so memory does not
        grow with it; one whose shorter side is then below min_face px has no face. Raises ExtractionError for a frame
        of another shape or type.
        """
        return [self._chosen(frame, faces) for frame, faces in zip(frames, self.all_faces(frames), strict=True)]

    def all_faces(self, frames: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Every face of each frame, as sure as `thresholds` ask for; otherwise as a call."""
        share = -(-len(frames) // self._lanes)  # as many for one lane as for another
        batches = list(_same_size(frames, min(_BATCH, share), self.options.max_side))
        return [faces for found in side_by_side(self._detect, batches, self._lanes) for faces in found]

    def _chosen(self, frame: np.ndarray, faces: Sequence[Detection]) -> Detection | None:
        height, width = frame.shape[:2]
        sure = [face for face in faces if face.probability >= self.options.min_probability]
        return choose_face(sure, self.options.choose, width, height)

    def _detect(self, frames: Sequence[np.ndarray]) -> list[list[Detection]]:
        """All faces of frames of one size."""
        seen = [scale_down(frame, self.options.max_side) for frame in frames]
        scale = np.divide(seen[0].shape[1::-1], frames[0].shape[1::-1], dtype=np.float32)  # x y: px seen per px
        options = self.options
        with _one_lane() if self.device.type == "cpu" else exact_inference():
            found = detect(self._nets, seen, options.min_face, options.thresholds, self.device)
        return [
            [
                Detection(box / np.tile(scale, 2), float(probability), landmarks / scale)
                for box, probability, landmarks in zip(faces.boxes, faces.probabilities, faces.landmarks, strict=True)
            ]
            for faces in found
        ]


def _library() -> Path:
    """Folder of facenet-pytorch, which is not imported: that takes a second."""
    found = importlib.util.find_spec("facenet_pytorch")
    if found is None or found.origin is None:
        raise WeightsError("facenet-pytorch is not installed: pip install -r requirements.txt")
    return Path(found.origin).parent


def _read_net(file: Path) -> nn.Module:
    """The net of a file that is called as its net is."""
    library = import_facenet_pytorch()
    kinds = {"pnet": library.PNet, "rnet": library.RNet, "onet": library.ONet}
    module: nn.Module = kinds[file.stem](pretrained=False).eval()
    module.load_state_dict(torch.load(file, weights_only=True))
    return module


def scale_down(frame: np.ndarray, max_side: int) -> np.ndarray:
    """The frame (H, W, 3) with its longer side at most `max_side` px; never enlarged, no side below 1 px."""
    height, width = frame.shape[:2]
    factor = max_side / max(height, width)
    if factor >= 1:
        return frame
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _in_batches(network: Network, size: int) -> Net:
    """The network for tensors on the CPU, `size` rows at a time; the last ones are filled up with zeros."""

    def run(pixels: Tensor) -> list[Tensor]:
        rows = len(pixels)
        filled = F.pad(pixels, (0, 0, 0, 0, 0, 0, 0, -rows % size)).numpy()
        parts = [network(filled[start : start + size]) for start in range(0, rows, size)]
        return [torch.from_numpy(np.concatenate(outputs)[:rows]) for outputs in zip(*parts, strict=True)]

    return run


@contextmanager
def _one_lane() -> Iterator[None]:
    """No gradients, and the other cores left to the frames beside."""
    with torch.inference_mode(), one_thread():
        yield


def _same_size(frames: Sequence[np.ndarray], at_most: int, max_side: int) -> Iterator[list[np.ndarray]]:
    """The frames in their order, in runs of equal size of at most `at_most`, or fewer where they are seen large."""
    run: list[np.ndarray] = []
    most = at_most
    for frame in frames:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ExtractionError(f"a frame must be RGB uint8 (H, W, 3), not {frame.dtype} {frame.shape}")
        if run and (len(run) == most or frame.shape != run[0].shape):
            yield run
            run = []
        if not run:
            height, width = (min(side, max_side) for side in frame.shape[:2])
            most = max(1, min(at_most, _PIXELS // (height * width)))
        run.append(frame)
    if run:
        yield run
