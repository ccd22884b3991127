"""Containers (mp4, mpg, avi, webm, mkv, mov, m4a, mp3, ogg ...) through the FFmpeg that PyAV bundles.

Formats are limited to a list: FFmpeg also knows playlists and scripts, with which a file named .mp4 could make it
read other files or the network.
"""

import errno
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

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
    *("mp3", "aac", "wav", "w64", "aiff", "au", "caf", "amr", "flac", "nistsphere"),
)
MAX_PIXELS = 64_000_000  # px of one picture, 192 MB as RGB; larger ones could exhaust a decode worker's memory

# What PyAV raises on bytes it cannot make sense of: FFmpeg's own errors, and Python's when it wraps nonsense fields.
FAILURES = (av.FFmpegError, ValueError, OSError, OverflowError)

Track = VideoStream | AudioStream
TrackT = TypeVar("TrackT", bound=Track)

# Tracks beside the main one: comments, descriptions for the blind, clear speech for the deaf, dubs, music without the
# singer, a film without its dialogue, and parts of another track (enhancement layers, depth maps).
_ASIDE = (
    Disposition.comment
    | Disposition.visual_impaired
    | Disposition.hearing_impaired
    | Disposition.dub
    | Disposition.dependent
    | Disposition.karaoke
    | Disposition.clean_effects
)
_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails  # video tracks that are no film


class DamagedTrackError(MediaError):
    """A sound track of which most does not decode."""


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


def audio_tracks(container: InputContainer) -> list[AudioStream]:
    """Audio tracks by preference: main ones first, of these the flagged default, of these the first."""
    return _by_preference(container.streams.audio)


def video_tracks(container: InputContainer) -> list[VideoStream]:
    """Video tracks by preference, as of audio; a cover picture attached to a song, or thumbnails, are none.

    Where all are parts of another track there is no film: they are the tiles of a photo.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & _PICTURES]
    if all(stream.disposition & Disposition.dependent for stream in films):
        return []
    return _by_preference(films)


def usable(tracks: Sequence[TrackT]) -> list[TrackT]:
    """Those of the tracks (by preference) that may be taken: of the kind of the first, with a decoder.

    A comment never replaces a main track that has no decoder: another person would speak.
    """
    kind = is_aside(tracks[0]) if tracks else False
    return [track for track in tracks if track.codec_context is not None and is_aside(track) == kind]


def is_aside(track: Track) -> bool:
    """Whether a track is flagged as one beside the main one, such as a comment."""
    return bool(track.disposition & _ASIDE)


def codec_of(container: InputContainer, track: Track) -> str:
    """Name of a track's codec; where FFmpeg has no decoder of it, the code that the file gives (zzz1)."""
    if track.codec_context is not None:
        return str(track.codec_context.name)
    av.logging.set_level(av.logging.INFO)  # PyAV gives it only as a text, made like a log
    try:
        text = container.dumps_format()
    finally:
        av.logging.set_level(None)
    found = re.search(rf"Stream #0:{track.index}\b.*?: (?:Audio|Video): (\w+)(?: \(([^/)]+) / )?", text)
    if not found:
        return "unknown"
    name, code = found.groups()
    return code.strip() if name in ("none", "unknown") and code else name


def _by_preference(tracks: Sequence[TrackT]) -> list[TrackT]:
    return sorted(tracks, key=lambda track: (is_aside(track), not track.disposition & Disposition.default, track.index))


def decoded(path: Path, container: InputContainer, stream: Track) -> Iterator[VideoFrame | AudioFrame]:
    """Frames of a stream in the order they are shown; damaged packets are passed over and counted in the log.

    One thread decodes: on damaged streams FFmpeg's threads give pictures that differ from run to run. Raises
    DamagedTrackError at the end of a sound of which more than half of the packets are damaged: in any bytes under the
    name .mp3 FFmpeg finds some that look like sound. Raises MemoryError where memory runs out: the few frames before
    that would be cached as all that the medium holds.
    """
    stream.codec_context.thread_count = 1
    if isinstance(stream, VideoStream):
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    count = damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except MemoryError:  # one of FFmpeg's own errors, too
            raise
        except FAILURES as error:
            logger.warning("%s: reading stopped early (%s)", path.name, _reason(error))
            packet = None
        count += packet is not None and packet.size > 0
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
    if isinstance(stream, AudioStream) and damaged > count / 2:
        codec = codec_of(container, stream)
        raise DamagedTrackError(
            f"{path.name}: {damaged} of the {count} packets of its sound ({codec}) are damaged; copy it again"
        )
    if damaged:
        logger.warning("%s: %d damaged packet(s) passed over", path.name, damaged)


def _reason(error: BaseException) -> str:
    if getattr(error, "errno", None) == errno.EINVAL:  # what FFmpeg says of a format outside the list
        return "its format is not among those read, or it is damaged"
    return str(getattr(error, "strerror", None) or error)
