"""Still images, upright and as RGB."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.errors import MediaError
from pipeline.media.containers import MAX_PIXELS
from pipeline.media.images import image_size, read_image
from tests import media_factory as make


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_every_format_is_read_as_rgb(tmp_path: Path, suffix: str) -> None:
    path = make.write_image(tmp_path / f"a{suffix}", number=77)
    image = read_image(path)
    assert image.shape == (120, 160, 3) and image.dtype == np.uint8 and make.frame_number(image) == 77


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    stored = make.numbered_image(3)
    undo = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored, 1),
    }
    path = make.write_image(tmp_path / "a.png", number=3, orientation=orientation)
    np.testing.assert_array_equal(read_image(path), undo[orientation])
    height, width, _ = undo[orientation].shape
    assert image_size(path) == (width, height)


def with_exif(path: Path, exif: bytes) -> Path:
    Image.fromarray(make.numbered_image(3)).save(path, exif=exif)
    return path


def test_broken_tags_beside_the_orientation_do_not_matter(tmp_path: Path) -> None:
    """Cameras and editors write sloppy EXIF: here a resolution that is text."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "72/1"
    broken = exif.tobytes().replace(b"\x01\x0f", b"\x01\x1a")  # the maker's name becomes a resolution
    path = with_exif(tmp_path / "a.png", broken)
    with pytest.raises(TypeError), Image.open(path) as image:
        ImageOps.exif_transpose(image)
    np.testing.assert_array_equal(read_image(path), np.rot90(make.numbered_image(3), -1))


@pytest.mark.filterwarnings("ignore:Tag data larger:UserWarning")
def test_no_exif_fails_in_another_way_than_as_an_unusable_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A], exif[0x0132] = 6, "Maker", 72.0, "2020:01:01 00:00:00"
    sound, random = exif.tobytes(), np.random.default_rng(5)
    for _ in range(200):
        broken = bytearray(sound)
        for at in random.integers(14, len(sound), 3):
            broken[at] = random.integers(256)
        path = with_exif(tmp_path / "a.png", bytes(broken))
        try:
            height, width, _ = read_image(path).shape
        except MediaError:
            continue
        assert image_size(path) == (width, height)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(make.numbered_image(9)).convert(mode).save(path)
    assert read_image(path).shape == (120, 160, 3) and make.frame_number(read_image(path)) == 9


def test_sixteen_bit_greys_keep_their_range(tmp_path: Path) -> None:
    greys = np.linspace(0, 65535, 256 * 10).reshape(10, 256).astype(np.uint16)
    Image.fromarray(greys).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[..., 0], greys >> 8)


def with_significant_bits(path: Path, bits: bytes) -> Path:
    """The PNG with an sBIT chunk behind its header."""
    data, chunk = path.read_bytes(), b"sBIT" + bits
    chunk = len(bits).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    path.write_bytes(data[:33] + chunk + data[33:])
    return path


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("upper", [False, True])
def test_fewer_significant_bits_keep_their_range_at_either_end(tmp_path: Path, bits: int, upper: bool) -> None:
    greys = np.linspace(0, 2**bits - 1, 256 * 10).reshape(10, 256).astype(np.uint16)
    Image.fromarray(greys << (16 - bits if upper else 0)).save(tmp_path / "a.png")
    path = with_significant_bits(tmp_path / "a.png", bytes([bits]))
    np.testing.assert_array_equal(read_image(path)[..., 0], greys >> bits - 8)


@pytest.mark.parametrize("peak", [1023, 4095])
def test_samples_of_few_bits_that_nothing_names_are_said(
    tmp_path: Path, peak: int, caplog: pytest.LogCaptureFixture
) -> None:
    greys = np.linspace(0, peak, 256 * 10).reshape(10, 256).astype(np.uint16)
    Image.fromarray(greys).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[..., 0], greys >> 8)
    assert "a.png: its 16-bit samples reach less than 4096 of 65535" in caplog.text


def test_a_dark_picture_of_eight_bits_is_nothing_to_speak_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.fromarray(np.full((8, 8), 3, np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").max() == 3 and not caplog.text


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_an_image_whose_exif_is_none_is_read_as_it_lies(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(make.numbered_image(9, 160, 120)).save(path, exif=b"Exif\0\0no TIFF header")
    assert make.frame_number(read_image(path)) == 9 and image_size(path) == (160, 120)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("read", [read_image, image_size])
def test_a_png_with_a_flipped_byte_is_refused_and_not_half_black(
    tmp_path: Path, seed: int, read: Callable[[Path], object]
) -> None:
    drawn = np.random.default_rng(seed)
    path = tmp_path / "a.png"
    Image.fromarray(drawn.integers(0, 256, (60, 80, 3), np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    data[int(drawn.integers(60, len(data) - 40))] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"a\.png"):
        read(path)


def test_a_cut_off_or_scrambled_image_is_refused(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".webp", ".bmp"):
        path = make.cut(make.write_image(tmp_path / f"cut{suffix}"), 0.5)
        with pytest.raises(MediaError, match=path.name):
            read_image(path)
    with pytest.raises(MediaError, match=r"head\.png"):
        read_image(make.scramble(make.write_image(tmp_path / "head.png"), 0.0005, 0.01))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # pytest resets our own filter
@pytest.mark.parametrize("side", [8001, 10_000, 14_000])
def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    Image.new("1", (side, side)).save(tmp_path / "huge.png")
    for read in (read_image, image_size):
        with pytest.raises(MediaError, match=rf"huge\.png: .*more than {MAX_PIXELS:,} px; scale it down"):
            read(tmp_path / "huge.png")


def test_a_real_photo_equals_pillows(shared: Path) -> None:
    path = next(iter(sorted((shared / "data/facenet_pytorch_faces").rglob("*.jpg"))))
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path), np.asarray(ImageOps.exif_transpose(image).convert("RGB")))
