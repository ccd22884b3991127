"""Which decoder a file needs, judged by its first bytes: names lie, and a text file may be called clip.mp4."""

from pathlib import Path
from typing import Literal

from pipeline.errors import GoneError, MediaError

Content = Literal["image", "wave", "container"]

_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM")
_HEAD = 12  # bytes; RIFF names its content in bytes 8 to 12


def content_of(path: Path) -> Content:
    """`image` for Pillow, `wave` for libsndfile, `container` for all else, which FFmpeg judges itself.

    FLAC goes to FFmpeg: of a damaged FLAC file it gives all but the damaged blocks, libsndfile nothing. Raises
    MediaError for a file that is absent, unreadable or empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise GoneError(f"{path.name}: the file is not there; restore it, or run the manifest again") from error
    except OSError as error:
        raise MediaError(f"{path.name}: cannot be opened ({error.strerror})") from error
    if not head:
        raise MediaError(f"{path.name}: is empty (0 bytes); copy it again")
    if head.startswith(_IMAGE_STARTS) or (head[:4] == b"RIFF" and head[8:] == b"WEBP"):
        return "image"
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        return "wave"
    return "container"
