"""MTCNN on frames of any size: one face a frame, by a stated rule."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from extractors.base import ExtractorOptions, Weights
from extractors.deterministic import exact_inference
from extractors.faces import mtcnn_cascade
from extractors.faces.face import DETECTORS, Detection, Detector, choose_face
from extractors.faces.mtcnn_cascade import Net
from extractors.inference import Network, network_of, side_by_side
from pipeline.errors import ExtractionError
from pipeline.extraction.fingerprint import fingerprint_of
from pipeline.files import sha256_of
from pipeline.runtime.compat import import_facenet_pytorch
from pipeline.runtime.threads import one_thread
from pipeline.settings import Ratio

_GPU_BATCH = 16  # frames; on a CPU batching gains nothing
_EXAMPLES = {  # an input, and the axes of it that are free
    "pnet": (torch.zeros(1, 3, 60, 80), (0, 2, 3)),
    "rnet": (torch.zeros(2, 3, mtcnn_cascade.REFINE_SIZE, mtcnn_cascade.REFINE_SIZE), (0,)),
    "onet": (torch.zeros(2, 3, mtcnn_cascade.OUTPUT_SIZE, mtcnn_cascade.OUTPUT_SIZE), (0,)),
}


@DETECTORS.register("mtcnn")
class MTCNN(Detector):
    """`detector: mtcnn`: the networks that ship inside facenet-pytorch, Zhang et al. (2016).

    On a CPU every frame goes through alone, on one core, and as many as there are cores side by side: a frame's bytes
    depend neither on its neighbours nor on the machine's cores.
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
        self._lanes = 1
        library = import_facenet_pytorch()
        folder = Path(library.__file__).parent / "data"
        files = {net: folder / f"{net}.pt" for net in ("pnet", "rnet", "onet")}
        kinds = {"pnet": library.PNet, "rnet": library.RNet, "onet": library.ONet}
        modules = {net: kind(pretrained=False).eval() for net, kind in kinds.items()}
        for net, module in modules.items():
            module.load_state_dict(torch.load(files[net], weights_only=True))
        nets = {net: self._net(module, *_EXAMPLES[net]) for net, module in modules.items()}
        self._nets = mtcnn_cascade.Nets(nets["pnet"], nets["rnet"], nets["onet"])
        digest = fingerprint_of({net: sha256_of(file) for net, file in files.items()})
        label = "MTCNN, as facenet-pytorch ships it"
        return Weights("facenet-pytorch", digest, label, trained_on=("WIDER FACE", "CelebA"))

    def _net(self, module: nn.Module, example: Tensor, free: Sequence[int]) -> Net:
        if self.device.type != "cpu":
            return module.to(self.device)  # pixels are there already
        network = network_of(module, example, self.device, "float32", free)
        self._lanes = network.lanes
        return _on_tensors(network)

    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detection | None]:
        """The chosen face of each RGB uint8 frame (H, W, 3), in px of that frame; None where none is sure enough.

        Frames may differ in size. A frame whose longer side exceeds max_side is scaled down first, so memory does not
        grow with it; one whose shorter side is then below min_face px has no face. Raises ExtractionError for a frame
        of another shape or type.
        """
        batches = list(_same_size(frames, 1 if self.device.type == "cpu" else _GPU_BATCH))
        return [face for faces in side_by_side(self._choose, batches, self._lanes) for face in faces]

    def _choose(self, frames: Sequence[np.ndarray]) -> list[Detection | None]:
        """The chosen face of each of the frames, which are of one size."""
        height, width = frames[0].shape[:2]
        sure = [
            [face for face in faces if face.probability >= self.options.min_probability]
            for faces in self._detect(frames)
        ]
        return [choose_face(faces, self.options.choose, width, height) for faces in sure]

    def _detect(self, frames: Sequence[np.ndarray]) -> list[list[Detection]]:
        """All faces of frames of one size, in px of those frames."""
        seen = [scale_down(frame, self.options.max_side) for frame in frames]
        scale = np.divide(seen[0].shape[1::-1], frames[0].shape[1::-1], dtype=np.float32)  # x y: px seen per px
        options = self.options
        with _one_lane() if self.device.type == "cpu" else exact_inference():
            found = mtcnn_cascade.detect(self._nets, seen, options.min_face, options.thresholds, self.device)
        return [
            [
                Detection(box / np.tile(scale, 2), float(probability), landmarks / scale)
                for box, probability, landmarks in zip(faces.boxes, faces.probabilities, faces.landmarks, strict=True)
            ]
            for faces in found
        ]


def scale_down(frame: np.ndarray, max_side: int) -> np.ndarray:
    """The frame (H, W, 3) with its longer side at most `max_side` px; never enlarged, no side below 1 px."""
    height, width = frame.shape[:2]
    factor = max_side / max(height, width)
    if factor >= 1:
        return frame
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _on_tensors(network: Network) -> Net:
    """The network for tensors on the CPU, whose memory it shares."""

    def run(pixels: Tensor) -> list[Tensor]:
        return [torch.from_numpy(output) for output in network(pixels.numpy())]

    return run


@contextmanager
def _one_lane() -> Iterator[None]:
    """No gradients, and the other cores left to the frames beside."""
    with torch.inference_mode(), one_thread():
        yield


def _same_size(frames: Sequence[np.ndarray], at_most: int) -> Iterator[list[np.ndarray]]:
    """The frames in their order, in runs of equal size of at most `at_most`."""
    run: list[np.ndarray] = []
    for frame in frames:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ExtractionError(f"a frame must be RGB uint8 (H, W, 3), not {frame.dtype} {frame.shape}")
        if run and (len(run) == at_most or frame.shape != run[0].shape):
            yield run
            run = []
        run.append(frame)
    if run:
        yield run
