"""WAV files: what libsndfile reads of them, and what of their header it does not say or believes in vain."""

import io
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import soundfile

from pipeline.errors import MediaError

# Format tags that libsndfile knows: PCM, MS ADPCM, float, A-law, u-law, IMA ADPCM, GSM. A file of one of them that it
# refuses is damaged; one of another tag is FFmpeg's to judge.
_OWN_TAGS = (0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0x0031)
_PLAIN_TAGS = (0x0001, 0x0003)  # each sample has bytes of its own
_EXTENSIBLE = 0xFFFE
_LOW_FREQUENCY = 0x8  # bit of the LFE in a mask of speakers
_MOST_CHUNKS = 64  # before the sound, and behind it; more are no header
_STREAMED = 0x7FFF_F000  # bytes; from here on a length says that it was not known (SoX; FFmpeg has 0xFFFFFFFF)
_PADDING = 4096  # bytes behind a sound of some length that are not taken for more of it
_BEHIND = (  # chunks that writers put behind the sound
    *(b"LIST", b"id3 ", b"ID3 ", b"fact", b"cue ", b"PEAK", b"bext", b"iXML"),
    *(b"PAD ", b"junk", b"JUNK", b"FLLR", b"smpl", b"inst", b"data"),
)
_LARGEST = 0xFFFF_FF00  # bytes that a header can say
_BYTE_ORDERS = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">"}
_SPHERE_COUNT = re.compile(rb"^sample_count -i (\d+)\s", re.MULTILINE)


@dataclass(frozen=True)
class WaveHeader:
    """What the header of a WAV says; zeros where it does not."""

    tag: int = 0  # format tag, of an extensible header that of its subformat
    channels: int = 0
    sample_bits: int = 0
    frame_bytes: int = 0  # of all channels at one time ("block align")
    speakers: int = 0  # bit mask of the places of the channels, in their order
    order: str = "<"  # of bytes
    start: int = 0  # of the sound, bytes into the file
    declared: int = 0  # bytes of sound
    present: int = 0  # bytes from the sound's start to the end of the file
    trusted: bool = True  # its end is the file's, or that of the RIFF, or what follows are chunks

    @property
    def low_frequency(self) -> int | None:
        """Index of the channel for effects below 120 Hz (LFE); None too where the mask is not of as many channels."""
        if not self.speakers & _LOW_FREQUENCY or self.speakers.bit_count() != self.channels:
            return None
        return (self.speakers & (_LOW_FREQUENCY - 1)).bit_count()

    @property
    def promised(self) -> float:
        """Declared sound by what there is; 1 where all is there, or where the length was not known in writing."""
        known = self.trusted and self.declared < _STREAMED and self.present > 0
        return max(1.0, self.declared / self.present) if known else 1.0


def open_wave(path: Path) -> soundfile.SoundFile | None:
    """The file as libsndfile opens it; None where its codec is FFmpeg's.

    A recorder that was cut off, or that counts wrongly, leaves a length of 0 or of a part in the header; libsndfile
    takes it at its word, so it is shown the true one: all that follows is sound. Raises MediaError for a damaged file,
    and for samples in slots of more bytes than they need: on which side they lie is not said.
    """
    header = read_header(path)
    if header is not None and header.tag in _PLAIN_TAGS:
        _refuse_wide_slots(path, header)
    try:
        return soundfile.SoundFile(path) if header is None or header.trusted else _Relabelled(path, header)
    except (soundfile.SoundFileError, OSError) as error:
        if header is not None and header.tag not in _OWN_TAGS and header.order == "<":  # FFmpeg heeds no other
            return None
        raise MediaError(f"{path.name}: no sound can be read from it ({reason_of(error)})") from error


def read_header(path: Path) -> WaveHeader | None:
    """The header of a WAV of any byte order; None for other files, and for damage before its format is said."""
    try:
        with path.open("rb") as file:
            form, riff = file.read(4), file.read(4)
            order = _BYTE_ORDERS.get(form)
            if order is None:
                return None
            return _header(file, order, struct.unpack(order + "I", riff)[0] + 8, path.stat().st_size)
    except (OSError, struct.error):
        return None


def promised_share(path: Path, frames: int) -> float:
    """The sound that the header of a WAV or NIST SPHERE declares, by the `frames` that there are; 1 where all are."""
    if (header := read_header(path)) is not None:
        return header.promised
    with path.open("rb") as file:
        found = _SPHERE_COUNT.search(file.read(1024))
    return max(1.0, int(found[1]) / frames) if found and frames else 1.0


def reason_of(error: BaseException) -> str:
    """The message of a library's error."""
    return str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error)


def _header(file: BinaryIO, order: str, riff_end: int, size: int) -> WaveHeader | None:
    fields, long_length = b"", 0
    for name, start, length in _chunks(file, 12, size, order):
        if name == b"ds64":  # RF64: lengths in 64 bits
            file.seek(start)
            riff_end, long_length = (
                value + 8 * (at == 0) for at, value in enumerate(struct.unpack("<QQ", file.read(16)))
            )
        elif name == b"fmt ":
            file.seek(start)
            fields = file.read(min(length, 40))
        elif name == b"data" and fields:
            length = long_length if long_length and length == 0xFFFF_FFFF else length
            padding = _PADDING if length else 0
            trusted = length + padding >= size - start or _ends_well(file, order, start + length, riff_end, size)
            return WaveHeader(*_format(fields, order), order, start, length, size - start, trusted)
    return WaveHeader(*_format(fields, order), order) if fields else None


def _format(fields: bytes, order: str) -> tuple[int, int, int, int, int]:
    """Tag, channels, bits of a sample, bytes of a frame and speakers."""
    tag, channels, _, _, frame_bytes, sample_bits = struct.unpack_from(order + "HHIIHH", fields.ljust(16, b"\0"))
    speakers = 0
    if tag == _EXTENSIBLE and len(fields) == 40:
        speakers, tag = struct.unpack_from(order + "IH", fields, 20)
    return tag, channels, sample_bits, frame_bytes, speakers


def _chunks(file: BinaryIO, start: int, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the content and length of each chunk from `start` on, up to one that has no name."""
    for _ in range(_MOST_CHUNKS):
        file.seek(start)
        head = file.read(8)
        if len(head) < 8 or not all(0x20 <= letter < 0x7F for letter in head[:4]):
            return
        length = struct.unpack(order + "I", head[4:])[0]
        yield head[:4], start + 8, length
        start = _next_start(file, start + 8 + length)


def _next_start(file: BinaryIO, end: int) -> int:
    """Where the chunk behind one that ends there begins: at an even byte, or, of careless writers, at once."""
    file.seek(end)
    return end + (end % 2 and file.read(1) == b"\0")


def _ends_well(file: BinaryIO, order: str, end: int, riff_end: int, size: int) -> bool:
    """Whether behind a sound that ends there comes the end of the RIFF or of the file, or chunks.

    Where it is sound that comes, the length in the header is wrong; and so it is where more comes behind the RIFF's end
    than before, which no chunk begins: a recorder that was killed had written its first block's lengths.
    """
    chunks = list(_chunks(file, _next_start(file, end), size, order))
    last = chunks[-1][1] + chunks[-1][2] if chunks else end
    if any(name in _BEHIND for name, _, _ in chunks):
        return True
    if 0 <= riff_end - last <= 1 and not _sound_behind(file, riff_end, size):
        return True
    return 0 <= size - last <= 1


def _sound_behind(file: BinaryIO, end: int, size: int) -> bool:
    """Whether more bytes lie behind a RIFF that ends there than within it, and begin with neither zeros nor a chunk."""
    if size - end <= end:
        return False
    file.seek(end)
    head = file.read(64)
    return any(head) and not all(0x20 <= letter < 0x7F for letter in head[:3])


def _refuse_wide_slots(path: Path, header: WaveHeader) -> None:
    needed = header.channels * -(-header.sample_bits // 8)
    if needed and header.frame_bytes > needed and header.frame_bytes % header.channels == 0:
        slot = header.frame_bytes // header.channels
        raise MediaError(
            f"{path.name}: its samples of {header.sample_bits} bits lie in {slot} bytes each, nothing says where;"
            " convert it to a wav of 16 bits, or to flac"
        )


def _true_lengths(header: WaveHeader) -> dict[int, bytes]:
    """Bytes of the header, by their place, that say where the sound really ends."""
    sound = min(header.present, _LARGEST)
    lengths = {4: min(header.start + sound - 8, _LARGEST), header.start - 4: sound}
    return {at: struct.pack(header.order + "I", length) for at, length in lengths.items()}


class _Relabelled(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A WAV as if its header said where the sound really ends."""

    def __init__(self, path: Path, header: WaveHeader) -> None:
        self._mended = _Mended(path, _true_lengths(header))
        try:
            super().__init__(self._mended)
        except BaseException:
            self._mended.close()
            raise

    def close(self) -> None:
        """Close the file, too."""
        super().close()
        self._mended.close()


class _Mended(io.FileIO):
    """A file read as if a few of its bytes were others."""

    def __init__(self, path: Path, changed: Mapping[int, bytes]) -> None:
        super().__init__(path)
        self._changed = changed

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        start = self.tell()
        count = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        for at, data in self._changed.items():
            for place, value in enumerate(data, at - start):
                if 0 <= place < count:
                    view[place] = value
        return count
