"""Frames of a clip: sampled evenly, and the same frames again by their number.

Frame numbers count what the decoder gives, from 0. A container's own counts and durations are not used: webm
has none, others are wrong, and seeking lands on different frames in different files. So a clip is decoded from its
start.
Pictures come as a player shows them: pixels square, rotated and mirrored as the container says.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import MediaError
from pipeline.media.containers import FAILURES, MAX_PIXELS, codec_of, decoded, open_container, usable, video_tracks
from pipeline.media.content import content_of
from pipeline.media.images import image_size, read_image

_UNTIMED = 25.0  # Hz; assumed where a stream states neither times nor a rate
_SLACK = 1e-6  # s; times come as fractions of the container's clock
_RESTART = 0.5  # s; a clock that goes back further than that has restarted, as in joined transport streams
_WIDEST = 5.0  # width of a pixel by its height; a header that says more, or less than the inverse, is damaged


@dataclass(frozen=True)
class SampledFrame:
    """One frame of a clip."""

    frame: int  # number in the order of decoding, from 0
    time: float  # s since the first frame
    image: np.ndarray  # (H, W, 3) RGB uint8, upright; (H, W, 0) where only its size was asked for


def sample_frames(path: Path, frame_rate: float, max_frames: int, pixels: bool = True) -> list[SampledFrame]:
    """Frames taken `frame_rate` times a second from the first on, of these at most `max_frames`, spread over the clip.

    An image is its one frame 0. Without `pixels` a frame is (H, W, 0), its size, and images need not be decoded: that
    one is damaged may show only where its pixels are read. Deterministic; at most 2 * max_frames + 6 pictures are held
    while the clip's length is unknown. Frames that the decoder marks as corrupt are passed over. Raises MediaError
    where there is no video track or nothing decodes.
    """
    if content_of(path) == "image":
        return [SampledFrame(0, 0.0, read_image(path) if pixels else np.empty((*image_size(path)[::-1], 0), np.uint8))]
    sampled: list[SampledFrame] = []
    next_time, candidates, stride = 0.0, 0, 1
    for number, time, frame, wide in _numbered(path):
        if frame.is_corrupt or time < next_time - _SLACK:
            continue
        next_time = (math.floor((time + _SLACK) * frame_rate) + 1) / frame_rate
        if candidates % stride == 0:
            image = _pixels(path, frame, wide)
            sampled.append(SampledFrame(number, time, image if pixels else image[:, :, :0].copy()))
        candidates += 1
        if len(sampled) == 2 * max_frames + 6:  # the clip is longer than planned for: keep every other one from here
            sampled, stride = sampled[::2], 2 * stride
    if not sampled:
        raise MediaError(f"{path.name}: no frame of its video ({_codec(path)}) decodes")
    count = min(max_frames, len(sampled))
    return [sampled[(2 * i + 1) * len(sampled) // (2 * count)] for i in range(count)]  # the middles of equal parts


def read_frames(path: Path, frames: Sequence[int]) -> list[SampledFrame]:
    """The frames of these numbers, in the order asked for, with the pixels that sample_frames gave.

    Raises MediaError where the clip has no such frame: it is not the file that was sampled.
    """
    if content_of(path) == "image":
        found = {0: SampledFrame(0, 0.0, read_image(path))}
    else:
        found, wanted, last = {}, set(frames), max(frames, default=-1)
        for number, time, frame, wide in _numbered(path):
            if number in wanted:
                found[number] = SampledFrame(number, time, _pixels(path, frame, wide))
            if number >= last:
                break
    if missing := sorted(set(frames) - set(found)):
        raise MediaError(f"{path.name}: has no frame {missing[0]}; if the file was replaced, run the manifest again")
    return [found[number] for number in frames]


def _numbered(path: Path) -> Iterator[tuple[int, float, VideoFrame, float]]:
    """Number, time since the first frame in s, the frame in the codec's own colours, and a pixel's width by height.

    Callers must not keep a frame: where a stream is damaged, decoders show what was in the recycled picture buffer,
    so with a frame kept, another buffer is next and the same file gives other pixels.
    """
    with open_container(path) as container:
        tracks = video_tracks(container)
        if not tracks:
            raise MediaError(f"{path.name}: has no video track")
        if not (streams := usable(tracks)):
            codec = codec_of(container, tracks[0])
            raise MediaError(f"{path.name}: its video ({codec}) has no decoder here; convert it to mp4 (H.264)")
        stream = streams[0]
        rate, wide = float(stream.average_rate or _UNTIMED), _pixel_width(stream)
        number, start, last = 0, None, -math.inf
        for frame in decoded(path, container, stream):
            if isinstance(frame, VideoFrame):
                clock = frame.time if frame.time is not None and math.isfinite(frame.time) else None
                if clock is not None:
                    start = clock if start is None else start
                    if clock < last - _RESTART and start is not None:
                        start -= last + 1 / rate - clock  # the time continues where it was
                    last = clock
                yield number, number / rate if clock is None or start is None else clock - start, frame, wide
                number += 1


def _codec(path: Path) -> str:
    with open_container(path) as container:
        return codec_of(container, usable(video_tracks(container))[0])


def _pixel_width(stream: VideoStream) -> float:
    ratio = float(stream.sample_aspect_ratio or 1)
    return ratio if 1 / _WIDEST <= ratio <= _WIDEST else 1.0


def _pixels(path: Path, frame: VideoFrame, wide: float) -> np.ndarray:
    width, height = round(frame.width * wide), frame.height
    if width * height > MAX_PIXELS:  # of pixels that are square already, decoding has seen to that
        raise MediaError(f"{path.name}: {width} x {height} px is more than {MAX_PIXELS:,} px; scale it down")
    try:
        image = frame.to_ndarray(format="rgb24", width=width)  # (H, W, 3)
    except FAILURES as error:
        raise MediaError(f"{path.name}: frame colours ({frame.format.name}) cannot be read ({error})") from error
    return np.ascontiguousarray(_upright(image, _display_matrix(frame)))


def _display_matrix(frame: VideoFrame) -> np.ndarray:
    """(2, 2) of the container's display matrix: a step along the picture's x or y (row) as steps on the screen.

    Read from a tiny copy: a frame of which PyAV has shown the side data is kept until Python looks for cycles.
    """
    try:
        copy = frame.reformat(width=16, height=16, format="gray", interpolation="POINT", threads=1)
        data = cast(Mapping[str, bytes], copy.side_data).get("DISPLAYMATRIX")
    except FAILURES:  # ValueError: beside data that PyAV has no name for; the angle alone can be had
        return _turn(frame)
    matrix = np.frombuffer(data, np.int32) if data is not None else np.empty(0)
    return matrix.reshape(3, 3)[:2, :2].astype(np.float64) if matrix.size == 9 else np.eye(2)


def _turn(frame: VideoFrame) -> np.ndarray:
    try:
        angle = math.radians(frame.rotation)  # counterclockwise
    except ValueError:  # of a damaged matrix: NaN
        return np.eye(2)
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _upright(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The picture (H, W, 3) as the matrix shows it, at the nearest quarter turn: mirrored, rotated, or both.

    A point (x, y) is shown at (a x + c y, b x + d y); both axes point right and down (FFmpeg, libavutil/display.h).
    """
    (a, b), (c, d) = matrix
    if a * d == b * c:  # damaged: it would show a line
        return image
    if abs(a) + abs(d) >= abs(b) + abs(c):
        mirrored, overturned = a < 0, d < 0
    else:  # x and y are swapped
        image, mirrored, overturned = image.transpose(1, 0, 2), c < 0, b < 0
    return image[:: -1 if overturned else 1, :: -1 if mirrored else 1]
