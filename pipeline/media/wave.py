"""WAV files: read by libsndfile, and the parts of their header that it does not give."""

import struct
from dataclasses import dataclass
from pathlib import Path

import soundfile

from pipeline.errors import MediaError

# Format tags that libsndfile knows: PCM, MS ADPCM, float, A-law, u-law, IMA ADPCM, GSM. A file of one of them that it
# refuses is damaged; one of another tag is FFmpeg's to judge.
_OWN_TAGS = (0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0x0031)
_EXTENSIBLE = 0xFFFE
_LOW_FREQUENCY = 0x8  # bit of the LFE in a mask of speakers
_MOST_CHUNKS = 64  # before fmt; more are no header


@dataclass(frozen=True)
class WaveHeader:
    """What a RIFF header says; zeros where it does not."""

    closed: bool  # its length was written once the sound was; the lengths of others are not to be believed
    tag: int = 0  # format tag, of an extensible header that of its subformat
    speakers: int = 0  # bit mask of the positions of the channels, in their order

    @property
    def low_frequency(self) -> int | None:
        """Index of the channel for effects below 120 Hz (LFE), if there is one."""
        below = self.speakers & (_LOW_FREQUENCY - 1)
        return below.bit_count() if self.speakers & _LOW_FREQUENCY else None


def open_wave(path: Path) -> soundfile.SoundFile | None:
    """The file as libsndfile opens it; None where it is FFmpeg's: its codec is another, or its header was never closed.

    A recorder that was cut off leaves lengths of 0 in the header: libsndfile takes them at their word, FFmpeg reads to
    the end of the file. Raises MediaError for a damaged file.
    """
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, OSError) as error:
        header = read_header(path)
        if header is not None and header.tag not in _OWN_TAGS:
            return None
        raise MediaError(f"{path.name}: no sound can be read from it ({reason_of(error)})") from error
    if file.frames == 0 and (header := read_header(path)) is not None and not header.closed:
        file.close()
        return None
    return file


def read_header(path: Path) -> WaveHeader | None:
    """The header of a little-endian WAV; None for other files, and for damage before its format."""
    try:
        with path.open("rb") as file:
            form, size, _ = struct.unpack("<4sI4s", file.read(12))
            if form not in (b"RIFF", b"RF64"):
                return None
            for _ in range(_MOST_CHUNKS):
                name, length = struct.unpack("<4sI", file.read(8))
                if name == b"fmt ":
                    break
                file.seek(length + length % 2, 1)
            else:
                return None
            fields = file.read(min(length, 40))
    except (OSError, struct.error):
        return None
    tag, speakers = int.from_bytes(fields[:2], "little"), 0
    if tag == _EXTENSIBLE and len(fields) == 40:
        tag, speakers = int.from_bytes(fields[24:26], "little"), int.from_bytes(fields[20:24], "little")
    closed = form == b"RF64" or size + 8 >= path.stat().st_size
    return WaveHeader(closed, tag, speakers)


def reason_of(error: BaseException) -> str:
    """The message of a library's error."""
    return str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error)
