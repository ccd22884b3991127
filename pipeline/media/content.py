"""Which decoder a file needs, judged by its first bytes: names may be wrong, and a text file may be called clip.mp4."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from pipeline.errors import GoneError, MediaError

Content = Literal["image", "wave", "container"]

_HEAD = 128  # bytes; the brands of a photo in boxes are in its first 40
_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM")
_WAVE_FORMS = (b"RIFF", b"RF64", b"RIFX")  # RIFX is big-endian, which FFmpeg does not heed: it would give noise
_SPHERE = b"NIST_1A"  # TIMIT's .WAV
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_PILLOWS_BRANDS = (*_AVIF_BRANDS, b"mif1", b"msf1")  # major brands under which Pillow looks for AVIF
_FIRST_BOXES = (b"ftyp", b"styp", b"free", b"skip", b"wide", b"uuid", b"meta", b"mdat")  # of a file in ISO boxes
_MOST_BOXES = 1000  # at the top level; a photo has a handful
# FFmpeg knows some of these too, but does not report which format it has refused.
_FOREIGN = (
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"8BPS", "PSD"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
)
_MARKUP = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<svg")
_LFS_POINTER = b"version https://git-lfs"


def content_of(path: Path) -> Content:
    """`image` for Pillow, `wave` for libsndfile, `container` for all else, which FFmpeg judges itself.

    FLAC goes to FFmpeg: of a damaged FLAC file it gives all but the damaged blocks, libsndfile nothing. Raises
    MediaError for a file that is absent, unreadable, empty, or of a well-known format that is not read: of a HEIC photo
    FFmpeg would show one tile as a film.
    """
    head = _head_of(path)
    brand = _photo_brand(head) or ("HEIC" if head[4:8] in _FIRST_BOXES and _is_photo_in_boxes(path) else None)
    if head.startswith(_IMAGE_STARTS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or brand == "AVIF":
        return "image"
    if (head[:4] in _WAVE_FORMS and head[8:12] == b"WAVE") or head.startswith(_SPHERE):
        return "wave"
    if head.startswith(_LFS_POINTER):
        raise MediaError(f"{path.name}: is a Git LFS pointer and not the file itself; run `git lfs pull`")
    if foreign := brand or _foreign_format(head):
        raise MediaError(f"{path.name}: format {foreign} is not among those read; convert it, a photo to jpg or png")
    return "container"


def _head_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise GoneError(f"{path.name}: the file is not there; restore it, or run the manifest again") from error
    except OSError as error:
        raise MediaError(f"{path.name}: cannot be opened ({error.strerror})") from error
    if not head:
        raise MediaError(f"{path.name}: is empty (0 bytes); copy it again")
    return head


def _photo_brand(head: bytes) -> str | None:
    """HEIC or AVIF for a photo in ISO boxes, the containers of mp4: by its brand, then by those it is compatible with.

    A film of any brand may name photo brands among the compatible ones, so these count after a photo's own only.
    """
    if head[4:8] != b"ftyp" or head[8:12] not in (*_HEIF_BRANDS, *_AVIF_BRANDS):
        return None
    compatible = head[16 : int.from_bytes(head[:4], "big")]
    brands = {head[8:12], *(compatible[start : start + 4] for start in range(0, len(compatible), 4))}
    return "AVIF" if head[8:12] in _PILLOWS_BRANDS and brands.intersection(_AVIF_BRANDS) else "HEIC"


def _is_photo_in_boxes(path: Path) -> bool:
    """Whether a file in ISO boxes, of any brand, holds pictures (`meta` with the handler `pict`) and no film (`moov`).

    Of such a photo FFmpeg would show each tile as a film of its own (ISO/IEC 23008-12, 6.2).
    """
    photo = False
    with path.open("rb") as file:
        for name, payload in _boxes(file):
            if name == b"moov":
                return False
            if name == b"meta":
                at = payload.find(b"hdlr")
                photo |= at >= 0 and payload[at + 12 : at + 16] == b"pict"
    return photo


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Name and first bytes of each box at the top level, up to the end of the file or the first that is damaged."""
    start = 0
    for _ in range(_MOST_BOXES):
        file.seek(start)
        box = file.read(_HEAD)
        size, header = int.from_bytes(box[:4], "big"), 8
        if size == 1:  # the length follows in 64 bits
            size, header = int.from_bytes(box[8:16], "big"), 16
        if len(box) < header:
            return
        yield box[4:8], box[header:]
        if size < header or size >= 1 << 62:  # 0: up to the end of the file
            return
        start += size


def _foreign_format(head: bytes) -> str | None:
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_MARKUP):
        return "HTML or XML"
    return next((name for start, name in _FOREIGN if head.startswith(start)), None)
