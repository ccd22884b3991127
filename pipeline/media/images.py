"""Still images through Pillow, upright and as RGB."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import MediaError
from pipeline.media.containers import MAX_PIXELS

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "AVIF")
_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {  # what undoes each of its values
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ROTATED = (5, 6, 7, 8)  # values that swap width and height
_DARK = 4096  # of 65,535; where 16-bit samples reach less, they are of 12 bits or fewer, or the picture is black
_PNG_START = 8  # bytes before the first chunk

logger = logging.getLogger(__name__)

# Pillow itself only warns of a decompression bomb; as an error it reaches the same MediaError as our own limit.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_FAILURES = (OSError, ValueError, SyntaxError, OverflowError)


def read_image(path: Path) -> np.ndarray:
    """Image (H, W, 3) RGB uint8, rotated upright by its EXIF orientation.

    Of 16 bits the upper 8 are taken; of fewer that lie at the lower end, as PNG's sBIT says, the upper 8 of these.
    Raises MediaError for a damaged or cut-off image, and for one above MAX_PIXELS, which is not scaled down
    silently: boxes are in pixels of the file.
    """
    with _opened(path) as image:
        # Not ImageOps.exif_transpose: it writes all of the EXIF anew, and fails where any tag of it is broken.
        undo = _UPRIGHT.get(_orientation(image))
        upright = image if undo is None else image.transpose(undo)
        depth, significant = _png_bits(path) if image.format == "PNG" else (8, 8)
        if upright.mode.startswith("I;16"):  # Pillow would clip 16-bit greys at 255
            greys = np.asarray(upright)  # (H, W)
            upright = Image.fromarray((greys >> _shift(greys, significant)).astype(np.uint8))
        pixels = np.array(upright if upright.mode == "RGB" else upright.convert("RGB"))
        if depth == 16 and pixels.max() < _DARK >> 8:
            message = "%s: its 16-bit samples reach less than %d of 65535, so that it is nearly black; scale them up"
            logger.warning(message, path.name, _DARK)
        return pixels


def _shift(greys: np.ndarray, significant: int) -> int:
    """By how many bits 16-bit samples (H, W) are to be shifted to become of 8.

    PNG wants fewer significant bits at the upper end, and then leaves zeros below them; cameras have them at the lower.
    """
    below = (1 << 16 - significant) - 1
    lower = 8 < significant < 16 and int(greys.max()) < 1 << significant and bool((greys & below).any())
    return significant - 8 if lower else 8


def _png_bits(path: Path) -> tuple[int, int]:
    """Bits of a PNG's samples, and how many of these its sBIT calls significant (grey or red)."""
    with path.open("rb") as file:
        file.seek(_PNG_START)
        depth = significant = 8
        while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
            if head[4:] == b"IHDR":
                depth = significant = int.from_bytes(file.read(9)[8:])
                file.seek(-9, 1)
            elif head[4:] == b"sBIT":
                significant = int.from_bytes(file.read(1))
                file.seek(-1, 1)
            file.seek(int.from_bytes(head[:4], "big") + 4, 1)
        return depth, min(significant, depth)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of the upright image, px; raises MediaError as read_image does.

    Of most images the header is read; a PNG without EXIF in its header is decoded.
    """
    with _opened(path) as image:
        rotated = _orientation(image) in _ROTATED
        return (image.height, image.width) if rotated else image.size


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:  # it may follow the pixels, and Pillow decodes them for it:
        image.load()  # not below, where damage would pass for bad EXIF, and the next read give what decodes, then black
    try:
        value = image.getexif().get(_ORIENTATION)
    except _FAILURES:  # what is no EXIF in a PNG or WebP; of a JPEG Pillow overlooks it
        return 1
    return value if isinstance(value, int) else 1


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width} x {image.height} px"
                raise MediaError(f"{path.name}: {size} is more than {MAX_PIXELS:,} px; scale it down")
            yield image
    except _BOMBS as error:
        raise MediaError(f"{path.name}: is more than {MAX_PIXELS:,} px; scale it down") from error
    except _FAILURES as error:
        raise MediaError(f"{path.name}: the image cannot be read ({error})") from error
