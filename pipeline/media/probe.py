"""What a file is, from its header alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition

from pipeline.errors import MediaError
from pipeline.media.containers import Track, audio_tracks, codec_of, is_aside, open_container, usable, video_tracks
from pipeline.media.content import content_of
from pipeline.media.images import image_size
from pipeline.media.wave import open_wave
from pipeline.settings import Kind

_LONGEST = 1e6  # s (11 days); a header that says more says nothing
_FASTEST = 1e4  # Hz


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """A medium as its header describes it; None where the header does not say."""

    kind: Kind
    duration: float | None = None  # s
    fps: float | None = None  # Hz, mean
    width: int | None = None  # px; of images upright, of video as stored
    height: int | None = None  # px
    sample_rate: int | None = None  # Hz, of the track that is taken
    audio_tracks: int = 0  # that there are, with a decoder or without
    notes: str = ""  # which of several tracks is taken, which codec has no decoder; empty for ordinary media

    @property
    def has_audio(self) -> bool:
        """Whether there is a sound track."""
        return self.audio_tracks > 0


def probe(path: Path) -> MediaInfo:
    """Describe a medium by its content, whatever its name says; nothing is decoded beyond what opening it takes.

    A video whose pictures or whose sound have no decoder is described nevertheless, and its notes name the codec.
    Raises MediaError for a file that is no medium. A file that passes may still fail to decode.
    """
    content = content_of(path)
    if content == "image":
        width, height = image_size(path)
        return MediaInfo("image", width=width, height=height)
    if content == "wave" and (file := open_wave(path)) is not None:
        with file:
            length = _sane(file.frames / file.samplerate, _LONGEST)
            return MediaInfo("audio", duration=length, sample_rate=file.samplerate, audio_tracks=1)
    with open_container(path) as container:
        return _container_info(path, container)


def _container_info(path: Path, container: InputContainer) -> MediaInfo:
    sounds, films = audio_tracks(container), video_tracks(container)
    audio, video = next(iter(usable(sounds)), None), next(iter(usable(films)), None)
    notes = [*_notes("audio", container, sounds, audio), *_notes("video", container, films, video)]
    if audio is None and video is None:
        undecodable = f" ({'; '.join(notes)})" if notes else ""
        raise MediaError(f"{path.name}: holds neither an audio nor a video track that can be decoded{undecodable}")
    duration = _sane(container.duration / av.time_base, _LONGEST) if container.duration else None
    sample_rate = (audio.codec_context.sample_rate or None) if audio else None
    fps = width = height = None
    if video:
        context = video.codec_context
        fps = _sane(float(video.average_rate), _FASTEST) if video.average_rate else None
        width, height = context.width or None, context.height or None
    kind: Kind = "video" if films else "audio"
    return MediaInfo(kind, duration, fps, width, height, sample_rate, len(sounds), "; ".join(notes))


def _notes(kind: str, container: InputContainer, tracks: Sequence[Track], taken: Track | None) -> list[str]:
    if tracks and taken is None:
        return [f"its {kind} track ({codec_of(container, tracks[0])}) has no decoder"]
    if taken is None or (len(tracks) == 1 and not is_aside(taken)):
        return []
    if is_aside(taken):
        why = "a comment, a dub or the like: there is no main one"
    elif taken is not tracks[0]:
        why = f"the first that has a decoder: {codec_of(container, tracks[0])} has none"
    else:
        why = "the default" if taken.disposition & Disposition.default else "the first; none is flagged as default"
    number = 1 + sorted(track.index for track in tracks).index(taken.index)
    silent = ", unless it is silent" if kind == "audio" and len(usable(tracks)) > 1 else ""
    return [f"{kind} track {number} of {len(tracks)} is taken ({why}){silent}"]


def _sane(value: float, limit: float) -> float | None:
    return value if math.isfinite(value) and 0 < value <= limit else None
