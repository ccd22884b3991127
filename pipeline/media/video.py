"""Frames of a clip: sampled evenly, and the same frames again by their number.

Frame numbers count what the decoder gives, from 0. A container's own counts and durations are not used: webm
has none, others lie, and seeking lands on different frames in different files. So a clip is decoded from its start.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from pipeline.errors import MediaError
from pipeline.media.containers import FAILURES, decoded, open_container, video_stream
from pipeline.media.content import content_of
from pipeline.media.images import read_image

_UNTIMED = 25.0  # Hz; assumed where a stream states neither times nor a rate
_SLACK = 1e-6  # s; times come as fractions of the container's clock


@dataclass(frozen=True)
class SampledFrame:
    """One frame of a clip."""

    frame: int  # number in the order of decoding, from 0
    time: float  # s since the first frame
    image: np.ndarray  # (H, W, 3) RGB uint8, upright


def sample_frames(path: Path, frame_rate: float, max_frames: int) -> list[SampledFrame]:
    """Frames taken `frame_rate` times a second from the first on, of these at most `max_frames`, spread over the clip.

    An image is its one frame 0. Deterministic; at most 2 * max_frames + 6 pictures are held while the clip's length
    is unknown. Frames that the decoder marks as corrupt are passed over. Raises MediaError where there
    is no video track or nothing decodes.
    """
    if content_of(path) == "image":
        return [SampledFrame(0, 0.0, read_image(path))]
    kept: list[SampledFrame] = []
    due, candidates, stride = 0.0, 0, 1
    for number, time, frame in _numbered(path):
        if frame.is_corrupt or time < due - _SLACK:
            continue
        due = (math.floor((time + _SLACK) * frame_rate) + 1) / frame_rate
        if candidates % stride == 0:
            kept.append(SampledFrame(number, time, _pixels(path, frame)))
        candidates += 1
        if len(kept) == 2 * max_frames + 6:  # the clip is longer than planned for: keep every other one from here
            kept, stride = kept[::2], 2 * stride
    if not kept:
        raise MediaError(f"{path.name}: no frame of its video decodes")
    count = min(max_frames, len(kept))
    return [kept[(2 * i + 1) * len(kept) // (2 * count)] for i in range(count)]  # the middles of equal parts


def read_frames(path: Path, frames: Sequence[int]) -> list[SampledFrame]:
    """The frames of these numbers, in the order asked for, with the pixels that sample_frames gave.

    Raises MediaError where the clip has no such frame: it is not the file that was sampled.
    """
    if content_of(path) == "image":
        found = {0: SampledFrame(0, 0.0, read_image(path))}
    else:
        found, wanted, last = {}, set(frames), max(frames, default=-1)
        for number, time, frame in _numbered(path):
            if number in wanted:
                found[number] = SampledFrame(number, time, _pixels(path, frame))
            if number >= last:
                break
    if missing := sorted(set(frames) - set(found)):
        raise MediaError(f"{path.name}: has no frame {missing[0]}; if the file was replaced, run the manifest again")
    return [found[number] for number in frames]


def _numbered(path: Path) -> Iterator[tuple[int, float, VideoFrame]]:
    """Number, time since the first frame in seconds, and the frame, still in the codec's own colours.

    Callers must not keep a frame: where a stream is damaged, decoders show what lay in the recycled picture buffer,
    so with a frame kept, another buffer is next and the same file gives other pixels.
    """
    with open_container(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError(f"{path.name}: has no video track")
        rate = float(stream.average_rate or _UNTIMED)
        number, start = 0, None
        for frame in decoded(path, container, stream):
            if isinstance(frame, VideoFrame):
                clock = frame.time if frame.time is not None and math.isfinite(frame.time) else None
                start = clock if start is None else start
                yield number, number / rate if clock is None or start is None else clock - start, frame
                number += 1


def _pixels(path: Path, frame: VideoFrame) -> np.ndarray:
    try:
        image = frame.to_ndarray(format="rgb24")  # (H, W, 3); decoding bounds H * W
    except FAILURES as error:
        raise MediaError(f"{path.name}: frame colours ({frame.format.name}) cannot be read ({error})") from error
    return np.ascontiguousarray(np.rot90(image, _quarter_turns(frame)))


def _quarter_turns(frame: VideoFrame) -> int:
    """Counterclockwise quarter turns to upright, from the container's display matrix; none where that is damaged."""
    try:
        degrees = frame.rotation
    except ValueError:  # the angle of a singular matrix is NaN; where its cast passes, it is far out of range
        return 0
    return round(degrees / 90) if abs(degrees) <= 360 else 0
