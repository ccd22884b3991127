"""Still images through Pillow, upright and as RGB."""

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

# Pillow itself only warns of a decompression bomb; as an error it reaches the same MediaError as our own limit.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_FAILURES = (OSError, ValueError, SyntaxError, OverflowError)


def read_image(path: Path) -> np.ndarray:
    """Image (H, W, 3) RGB uint8, rotated upright by its EXIF orientation.

    Raises MediaError for a damaged or cut-off image, and for one above MAX_PIXELS, which is not scaled down
    silently: boxes are in pixels of the file.
    """
    with _opened(path) as image:
        # Not ImageOps.exif_transpose: it writes all of the EXIF anew, and fails where any tag of it is broken.
        undo = _UPRIGHT.get(_orientation(image))
        upright = image if undo is None else image.transpose(undo)
        if upright.mode.startswith("I;16"):  # Pillow would clip 16-bit greys at 255
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        return np.array(upright.convert("RGB"))


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of the upright image, px, read from its header; raises MediaError as read_image does."""
    with _opened(path) as image:
        rotated = _orientation(image) in _ROTATED
        return (image.height, image.width) if rotated else image.size


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(_ORIENTATION)
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
