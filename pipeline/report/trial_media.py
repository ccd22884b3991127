"""Thumbnails and short clips of what the page of errors shows, small enough to lie in the page itself.

A medium is used only if it has the bytes that the manifest saw; where there is nothing to show, a text says why.
"""

import io
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.errors import GoneError, MediaError
from pipeline.files import sha256_of
from pipeline.media import decode_audio, read_frames

_RATE = 16_000  # Hz, of clips
_BIT_RATE = 24_000  # bits a second of MP3, which every browser plays: speech stays intelligible
_QUALITY = 80  # of JPEG

logger = logging.getLogger(__name__)

MadeT = TypeVar("MadeT")
Face = tuple[str, int]  # item and number of the frame
Boxes = Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]  # by item, as extraction.face_table.read_faces has them


@dataclass(frozen=True)
class Excerpts:
    """What there is to see and to hear; a text says why there is nothing."""

    faces: Mapping[Face, bytes | str]  # JPEG
    voices: Mapping[str, bytes | str]  # by item; MP3


@dataclass(frozen=True)
class Sizes:
    """How much is shown of a medium."""

    side: int  # px, the longer one of a thumbnail
    seconds: float  # s, of a voice, where it is loudest


def excerpts(
    faces: Collection[Face],
    voices: Collection[str],
    manifest: pd.DataFrame,
    boxes: Boxes,
    locate: Callable[[str], Path],
    sizes: Sizes,
) -> Excerpts:
    """Excerpts of the faces and voices named, of media that `locate` finds by their path in the manifest."""
    rows = {row.item: row for row in manifest.itertuples(index=False)}
    frames: dict[str, list[int]] = {}
    for item, frame in sorted(set(faces)):
        frames.setdefault(item, []).append(frame)
    seen: dict[Face, bytes | str] = {}
    heard: dict[str, bytes | str] = {}
    for item in sorted({*frames, *voices}):
        path, digest = locate(rows[item].path), rows[item].digest
        if item in frames:
            cut = partial(thumbnails, frames=frames[item], found=boxes[item], side=sizes.side)
            pictures = _of_medium(cut, path, digest)
            seen |= {
                (item, frame): pictures if isinstance(pictures, str) else pictures[place]
                for place, frame in enumerate(frames[item])
            }
        if item in voices:
            heard[item] = _of_medium(partial(voice_clip, seconds=sizes.seconds), path, digest)
    reasons = [why for why in (*seen.values(), *heard.values()) if isinstance(why, str)]
    if reasons:
        logger.warning("%d of %d excerpts cannot be shown, first: %s", len(reasons), len(seen) + len(heard), reasons[0])
    return Excerpts(seen, heard)


def thumbnails(
    path: Path, frames: list[int], found: tuple[np.ndarray, np.ndarray, np.ndarray], side: int
) -> list[bytes]:
    """JPEG of the face in each of the `frames` of a clip, cut by its detected box, at most `side` px wide and high.

    `found` are the clip's faces: frame numbers (n,), boxes (n, 4) x1 y1 x2 y2 px, landmarks. Raises MediaError for a
    frame without a detected face, and as read_frames does.
    """
    numbers, boxes, _ = found
    box_of = dict(zip(numbers.tolist(), boxes, strict=True))
    if absent := [frame for frame in frames if frame not in box_of]:
        raise MediaError(f"{path.name}: no face is known in frame {absent[0]}; run `dvc repro detect_faces`")
    return [_jpeg(sampled.image, box_of[sampled.frame], side) for sampled in read_frames(path, frames)]


def _jpeg(frame: np.ndarray, box: np.ndarray, side: int) -> bytes:
    height, width = frame.shape[:2]
    left, top, right, bottom = np.clip(np.round(box), 0, (width, height, width, height)).astype(int)
    face = Image.fromarray(np.ascontiguousarray(frame[top : max(bottom, top + 1), left : max(right, left + 1)]))
    face.thumbnail((side, side))
    file = io.BytesIO()
    face.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def voice_clip(path: Path, seconds: float) -> bytes:
    """MP3 (mono, 16 kHz) of the `seconds` of a medium in which its sound is loudest; raises as decode_audio does."""
    waveform = loudest(decode_audio(path, _RATE), round(seconds * _RATE))
    samples = np.round(waveform * np.iinfo(np.int16).max).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=_RATE, layout="mono")
        stream.bit_rate = _BIT_RATE
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16p", layout="mono")
        frame.sample_rate = _RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def loudest(waveform: np.ndarray, samples: int) -> np.ndarray:
    """The part of at most `samples` of a waveform (T,) that has the most energy, the first of equals."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    if len(waveform) <= samples:
        return waveform
    start = int(np.argmax(energy[samples:] - energy[:-samples]))
    return waveform[start : start + samples]


def _of_medium(make: Callable[[Path], MadeT], path: Path, digest: str) -> MadeT | str:
    """What `make` makes of a medium, or why it cannot be made; bytes that the manifest did not see are not used."""
    try:
        made = make(path)
        if sha256_of(path) != digest:
            raise GoneError(f"{path.name}: has changed since the manifest was made")
    except MediaError as error:
        return str(error)
    except OSError as error:
        return f"{path.name}: cannot be read ({error.strerror})"
    return made
