"""What is kept of a decoded payload: whether it is sound, and a digest by which two decodings compare."""

from dataclasses import dataclass

import numpy as np

from extractors.faces.crop import SquareCrop
from extractors.voices.voice import WholeUtterance
from pipeline.extraction.decoding import CutFaces, Prepared, ReadUtterance, SampleFrames
from pipeline.files import sha256_hex
from pipeline.media import SampledFrame
from pipeline.media.audio import SHORTEST

SAMPLE_RATE = 16000  # Hz
SAMPLING = SampleFrames(frame_rate=8.0, max_frames=4)
HEARING = ReadUtterance(WholeUtterance(), SAMPLE_RATE, remove_offset=False, trim=False)
CROP = SquareCrop(size=160, margin=0)


@dataclass(frozen=True)
class Kept:
    """A payload judged; payloads themselves would fill the memory."""

    fault: str | None  # what is wrong with it
    digest: str
    cut: CutFaces | None = None  # of frames: the crops that are to be cut of them


def keep_text(text: str) -> Kept:
    """A description by its words."""
    return Kept(None, text)


def keep_waveform(utterance: Prepared) -> Kept:
    """Mono float32 within [-1, 1] of at least SHORTEST seconds is sound."""
    (waveform,), fault = utterance.inputs, None
    if waveform.dtype != np.float32 or waveform.ndim != 1 or len(waveform) < SHORTEST * SAMPLE_RATE:
        fault = f"is {waveform.dtype} {waveform.shape}"
    elif not np.isfinite(waveform).all() or np.abs(waveform).max() > 1:
        fault = "is not finite or not within [-1, 1]"
    return Kept(fault, _digest([waveform]))


def keep_frames(frames: list[SampledFrame]) -> Kept:
    """Pictures in order, at finite times, are sound; the digest is of the crops that `cut` will give of them."""
    cut = _middles(frames)
    boxes = zip(frames, cut.boxes, cut.landmarks, strict=True)
    crops = [CROP(frame.image, box, landmarks) for frame, box, landmarks in boxes]
    numbers = [frame.frame for frame in frames]
    fault = None
    if not 1 <= len(frames) <= SAMPLING.max_frames or numbers != sorted(set(numbers)):
        fault = f"are numbered {numbers}"
    elif not all(frame.image.dtype == np.uint8 and frame.image.shape[2:] == (3,) for frame in frames):
        fault = "are no RGB pictures"
    elif not np.isfinite([frame.time for frame in frames]).all():
        fault = "have no finite times"
    return Kept(fault, _digest(crops), cut)


def keep_crops(crops: Prepared) -> Kept:
    """Crops of the size asked for are sound."""
    wrong = [image.shape for image in crops.inputs if image.shape != (CROP.size, CROP.size, 3)]
    return Kept(f"have the shapes {wrong}" if wrong else None, _digest(crops.inputs))


def _middles(frames: list[SampledFrame]) -> CutFaces:
    """A box in the middle of each frame, as if a face were there."""
    sizes = np.array([frame.image.shape[1::-1] for frame in frames], np.float32)  # (n, 2) width, height
    boxes = np.concatenate([np.floor(sizes / 4), np.ceil(sizes * 0.75)], axis=1)
    landmarks = np.full((len(frames), 5, 2), np.nan, np.float32)
    return CutFaces(CROP, np.array([frame.frame for frame in frames], np.int32), boxes, landmarks)


def _digest(arrays: list[np.ndarray]) -> str:
    return sha256_hex(*(np.ascontiguousarray(array).data for array in arrays))
