"""What a file is, from its header alone."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import soundfile
from av.container import InputContainer

from pipeline.errors import MediaError
from pipeline.media.containers import audio_stream, open_container, video_stream
from pipeline.media.content import content_of
from pipeline.media.images import image_size

Kind = Literal["video", "audio", "image"]

_LONGEST = 1e6  # s (11 days); a header that says more says nothing
_FASTEST = 1e4  # Hz


@dataclass(frozen=True)
class MediaInfo:
    """A medium as its header describes it; None where the header does not say."""

    kind: Kind
    duration: float | None = None  # s
    fps: float | None = None  # Hz, mean
    width: int | None = None  # px; of images upright, of video as stored
    height: int | None = None  # px
    sample_rate: int | None = None  # Hz

    @property
    def has_audio(self) -> bool:
        """Whether there is a sound track."""
        return self.sample_rate is not None

    @property
    def has_video(self) -> bool:
        """Whether there are moving pictures."""
        return self.kind == "video"


def probe(path: Path) -> MediaInfo:
    """Describe a medium by its content, whatever its name says; nothing is decoded beyond what opening it takes.

    Raises MediaError for a file that is no medium. A file that passes may still fail to decode.
    """
    content = content_of(path)
    if content == "image":
        width, height = image_size(path)
        return MediaInfo("image", width=width, height=height)
    if content == "wave":
        try:
            info = soundfile.info(path)
        except (soundfile.SoundFileError, OSError) as error:
            raise MediaError(f"{path.name}: no sound can be read from it ({error})") from error
        return MediaInfo("audio", duration=_sane(info.frames / info.samplerate, _LONGEST), sample_rate=info.samplerate)
    with open_container(path) as container:
        return _container_info(path, container)


def _container_info(path: Path, container: InputContainer) -> MediaInfo:
    audio, video = audio_stream(container), video_stream(container)
    duration = _sane(container.duration / av.time_base, _LONGEST) if container.duration else None
    sample_rate = (audio.codec_context.sample_rate or None) if audio else None
    if video:
        context = video.codec_context
        fps = _sane(float(video.average_rate), _FASTEST) if video.average_rate else None
        return MediaInfo("video", duration, fps, context.width or None, context.height or None, sample_rate)
    if sample_rate:
        return MediaInfo("audio", duration, sample_rate=sample_rate)
    raise MediaError(f"{path.name}: holds neither an audio nor a video track that can be decoded")


def _sane(value: float, limit: float) -> float | None:
    return value if math.isfinite(value) and 0 < value <= limit else None
