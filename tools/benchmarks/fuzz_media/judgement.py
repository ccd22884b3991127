"""What is kept of a decoded payload: whether it is sound, and a digest by which two decodings compare."""

from dataclasses import dataclass

import numpy as np

from extractors.faces.crop import CROP_SIZE, crop_face
from pipeline.files import sha256_hex
from pipeline.media import SampledFrame
from pipeline.media.audio import SHORTEST
from stages import decoding

SAMPLE_RATE = 16000  # Hz
LISTENING = decoding.Listening(SAMPLE_RATE, remove_offset=False, trim=False)
SAMPLING = decoding.Sampling(frame_rate=8.0, max_frames=4)


@dataclass(frozen=True)
class Kept:
    """A payload judged; payloads themselves would fill the memory."""

    fault: str | None  # what is wrong with it
    digest: str
    boxes: decoding.Boxes | None = None  # of frames: where crops are to be cut


def keep_text(text: str) -> Kept:
    """A description by its words."""
    return Kept(None, text)


def keep_waveform(waveform: np.ndarray) -> Kept:
    """Mono float32 within [-1, 1] of at least SHORTEST seconds is sound."""
    fault = None
    if waveform.dtype != np.float32 or waveform.ndim != 1 or len(waveform) < SHORTEST * SAMPLE_RATE:
        fault = f"is {waveform.dtype} {waveform.shape}"
    elif not np.isfinite(waveform).all() or np.abs(waveform).max() > 1:
        fault = "is not finite or not within [-1, 1]"
    return Kept(fault, _digest([waveform]))


def keep_frames(frames: list[SampledFrame]) -> Kept:
    """Pictures in order, at finite times, are sound; the digest is of the crops that `boxes` will cut of them."""
    boxes = _middles(frames)
    crops = [crop_face(frame.image, box, 0) for frame, box in zip(frames, boxes.boxes, strict=True)]
    numbers = [frame.frame for frame in frames]
    fault = None
    if not 1 <= len(frames) <= SAMPLING.max_frames or numbers != sorted(set(numbers)):
        fault = f"are numbered {numbers}"
    elif not all(frame.image.dtype == np.uint8 and frame.image.shape[2:] == (3,) for frame in frames):
        fault = "are no RGB pictures"
    elif not np.isfinite([frame.time for frame in frames]).all():
        fault = "have no finite times"
    return Kept(fault, _digest(crops), boxes)


def keep_crops(crops: decoding.Crops) -> Kept:
    """Crops of FaceNet's size are sound."""
    wrong = [image.shape for image in crops.images if image.shape != (CROP_SIZE, CROP_SIZE, 3)]
    return Kept(f"have the shapes {wrong}" if wrong else None, _digest(crops.images))


def _middles(frames: list[SampledFrame]) -> decoding.Boxes:
    """A box in the middle of each frame, as if a face were there."""
    sizes = np.array([frame.image.shape[1::-1] for frame in frames], np.float32)  # (n, 2) width, height
    boxes = np.concatenate([np.floor(sizes / 4), np.ceil(sizes * 0.75)], axis=1)
    return decoding.Boxes(tuple(frame.frame for frame in frames), boxes, margin=0)


def _digest(arrays: list[np.ndarray]) -> str:
    return sha256_hex(*(np.ascontiguousarray(array).data for array in arrays))
