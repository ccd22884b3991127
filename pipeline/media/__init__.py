"""Media in, arrays out: what a file is, its sound as a waveform, its pictures as frames. Bad media is a MediaError."""

from pipeline.media.audio import decode_audio, trimmed
from pipeline.media.probe import MediaInfo, probe
from pipeline.media.video import SampledFrame, read_frames, sample_frames

MEDIA_VERSION = "media 4"  # raised when the same file decodes to other values: cached results are then made anew

__all__ = [
    "MEDIA_VERSION",
    "MediaInfo",
    "SampledFrame",
    "decode_audio",
    "probe",
    "read_frames",
    "sample_frames",
    "trimmed",
]
