"""MTCNN on frames of any size: one face a frame, by a stated rule."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from pydantic import Field

from extractors.base import ExtractorOptions, Weights
from extractors.deterministic import exact_inference
from extractors.faces import mtcnn_cascade
from extractors.faces.face import DETECTORS, Detection, Detector, choose_face
from pipeline.errors import ExtractionError
from pipeline.extraction.fingerprint import fingerprint_of
from pipeline.files import sha256_of
from pipeline.runtime.compat import import_facenet_pytorch
from pipeline.settings import Ratio

_GPU_BATCH = 16  # frames; on a CPU batching gains nothing


@DETECTORS.register("mtcnn")
class MTCNN(Detector):
    """`detector: mtcnn`: the networks that ship inside facenet-pytorch, Zhang et al. (2016).

    On a CPU every frame goes through alone, so that its bytes do not depend on its neighbours.
    """

    version = 1  # of the arithmetic here, in face.py and in mtcnn_cascade.py

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
        library = import_facenet_pytorch()
        folder = Path(library.__file__).parent / "data"
        files = {net: folder / f"{net}.pt" for net in ("pnet", "rnet", "onet")}
        kinds = {"pnet": library.PNet, "rnet": library.RNet, "onet": library.ONet}
        loaded = {net: kind(pretrained=False).eval().to(self.device) for net, kind in kinds.items()}
        for net, module in loaded.items():
            module.load_state_dict(torch.load(files[net], map_location=self.device, weights_only=True))
        self._nets = mtcnn_cascade.Nets(loaded["pnet"], loaded["rnet"], loaded["onet"])
        digest = fingerprint_of({net: sha256_of(file) for net, file in files.items()})
        label = "MTCNN, as facenet-pytorch ships it"
        return Weights("facenet-pytorch", digest, label, trained_on=("WIDER FACE", "CelebA"))

    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detection | None]:
        """The chosen face of each RGB uint8 frame (H, W, 3), in px of that frame; None where none is sure enough.

        Frames may differ in size. A frame whose longer side exceeds max_side is scaled down first, so memory does not
        grow with it; one whose shorter side is then below min_face px has no face. Raises ExtractionError for a frame
        of another shape or type.
        """
        chosen: list[Detection | None] = []
        for batch in _same_size(frames, 1 if self.device.type == "cpu" else _GPU_BATCH):
            height, width = batch[0].shape[:2]
            for faces in self._detect(batch):
                sure = [face for face in faces if face.probability >= self.options.min_probability]
                chosen.append(choose_face(sure, self.options.choose, width, height))
        return chosen

    def _detect(self, frames: Sequence[np.ndarray]) -> list[list[Detection]]:
        """All faces of frames of one size, in px of those frames."""
        seen = np.stack([scale_down(frame, self.options.max_side) for frame in frames])  # (B, h, w, 3)
        scale = np.divide(seen.shape[2:0:-1], frames[0].shape[1::-1], dtype=np.float32)  # x y: px seen per px
        with exact_inference():
            images = torch.from_numpy(seen).to(self.device).permute(0, 3, 1, 2).float()
            found = mtcnn_cascade.detect(self._nets, images, self.options.min_face, self.options.thresholds)
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
