"""Where the parts of a media file lie and where it states their lengths, so that a mutation can aim.

Made for files that may be damaged already: what makes no sense ends the search, and nothing is read twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_NESTING = frozenset(
    [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"mvex", b"moof", b"traf"]
)
_SCAN = 0xDA  # JPEG marker after whose segment the coded picture follows
_BARE = {0x01, 0xD8, 0xD9, *range(0xD0, 0xD8)}  # JPEG markers without a length


@dataclass(frozen=True)
class Part:
    """A box, chunk, block, segment or frame: data[start:end], its content from `body` on."""

    start: int
    body: int
    end: int
    length_at: int = 0  # where its length is written
    length_bytes: int = 0  # 0: nowhere
    order: Literal["big", "little"] = "big"
    name_at: int = 0  # where its name is written
    name_bytes: int = 0  # 0: nowhere


def parts_of(data: bytes) -> list[Part]:
    """Parts of an mp4, wav, flac or jpg file, judged by its first bytes; of anything else, none."""
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"moof", b"styp"):
        return list(_boxes(data, 0, len(data)))
    if data[:4] == b"RIFF":
        return list(_chunks(data))
    if data[:4] == b"fLaC":
        return list(_blocks(data))
    if data[:2] == b"\xff\xd8":
        return list(_segments(data))
    return []


def _boxes(data: bytes, start: int, stop: int) -> Iterator[Part]:
    while start + 8 <= stop:
        length = int.from_bytes(data[start : start + 4], "big")
        end = stop if length == 0 else start + length
        if end < start + 8 or end > stop:
            return
        yield Part(start, start + 8, end, start, 4, "big", start + 4, 4)
        if data[start + 4 : start + 8] in _NESTING:
            yield from _boxes(data, start + 8, end)
        start = end


def _chunks(data: bytes) -> Iterator[Part]:
    yield Part(0, 12, len(data), 4, 4, "little", 8, 4)
    start = 12
    while start + 8 <= len(data):
        end = min(len(data), start + 8 + int.from_bytes(data[start + 4 : start + 8], "little"))
        yield Part(start, start + 8, end, start + 4, 4, "little", start, 4)
        start = end + end % 2


def _blocks(data: bytes) -> Iterator[Part]:
    start, last = 4, False
    while not last and start + 4 <= len(data):
        last = bool(data[start] & 0x80)
        end = start + 4 + int.from_bytes(data[start + 1 : start + 4], "big")
        if end > len(data):
            return
        yield Part(start, start + 4, end, start + 1, 3, "big", start, 1)
        start = end
    while start < len(data):  # frames tell no length: the next one starts at the next sync code
        found = [at for at in (data.find(sync, start + 2) for sync in (b"\xff\xf8", b"\xff\xf9")) if at > 0]
        end = min(found, default=len(data))
        yield Part(start, min(start + 6, end), end, name_at=start, name_bytes=2)
        start = end


def _segments(data: bytes) -> Iterator[Part]:
    start = 2
    while start + 4 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if marker in _BARE:
            start += 2
            continue
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if end > len(data):
            return
        yield Part(start, start + 4, end, start + 2, 2, "big", start + 1, 1)
        start = end
        if marker == _SCAN:
            end = _next_marker(data, start)
            yield Part(start, start, end)
            start = end


def _next_marker(data: bytes, start: int) -> int:
    """Where the coded picture ends: a 0xFF that neither is stuffed nor starts a restart marker."""
    at = data.find(b"\xff", start)
    while 0 <= at < len(data) - 1 and (data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7):
        at = data.find(b"\xff", at + 2)
    return at if at > start else len(data)
