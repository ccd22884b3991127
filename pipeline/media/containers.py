"""Containers (mp4, mpg, avi, webm, mkv, mov, m4a, mp3, ogg ...) through the FFmpeg that PyAV bundles.

Formats are limited to a list: FFmpeg also knows playlists and scripts, with which a file named .mp4 could make it
read other files or the network.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import MediaError

FORMATS = (
    *("mov", "matroska", "avi", "mpeg", "mpegts", "flv", "asf", "ogg"),
    *("mp3", "aac", "wav", "w64", "aiff", "au", "caf", "amr", "flac"),
)
MAX_PIXELS = 64_000_000  # px of one picture, 192 MB as RGB; larger ones could exhaust a decode worker's memory

# What PyAV raises on bytes it cannot make sense of: FFmpeg's own errors, and Python's when it wraps nonsense fields.
FAILURES = (av.FFmpegError, ValueError, OSError, OverflowError)

Track = VideoStream | AudioStream

av.logging.set_level(None)  # FFmpeg's remarks on stderr would tear the progress bars
logger = logging.getLogger(__name__)


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a media container by its content; raises MediaError where there is none that we read."""
    options = {"format_whitelist": ",".join(FORMATS)}
    try:
        # Absolute, because "take:1.mp4" would be taken for a protocol named "take".
        container = av.open(str(path.absolute()), mode="r", options=options, metadata_errors="replace")
    except FAILURES as error:
        raise MediaError(f"{path.name}: holds no audio, video or image that can be read ({_reason(error)})") from error
    with container:
        yield container


def audio_stream(container: InputContainer) -> AudioStream | None:
    """First audio track that a decoder exists for."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def video_stream(container: InputContainer) -> VideoStream | None:
    """First video track that a decoder exists for; a cover picture attached to a song is none."""
    usable = (stream for stream in container.streams.video if stream.codec_context is not None)
    return next((stream for stream in usable if not stream.disposition & Disposition.attached_pic), None)


def decoded(path: Path, container: InputContainer, stream: Track) -> Iterator[VideoFrame | AudioFrame]:
    """Frames of a stream in the order they are shown; damaged packets are passed over and counted in the log.

    One thread decodes: on damaged streams FFmpeg's threads give pictures that differ from run to run. Raises
    MemoryError where memory runs out: the few frames before that would be cached as all that the medium holds.
    """
    stream.codec_context.thread_count = 1
    if isinstance(stream, VideoStream):
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except MemoryError:  # one of FFmpeg's own errors, too
            raise
        except FAILURES as error:
            logger.warning("%s: reading stopped early (%s)", path.name, _reason(error))
            packet = None
        try:
            frames = stream.decode(packet)
        except MemoryError:
            raise
        except FAILURES:
            damaged += packet is not None
            frames = []
        for frame in frames:
            if isinstance(frame, (VideoFrame, AudioFrame)):
                yield frame
        if packet is None:
            break
    if damaged:
        logger.warning("%s: %d damaged packet(s) passed over", path.name, damaged)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
