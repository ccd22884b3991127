"""Which decoder a file goes to, judged by its first bytes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import MediaError
from pipeline.media import decode_audio, probe, sample_frames
from pipeline.media.content import content_of
from tests import media_factory as make


def boxed(brand: bytes, *compatible: bytes) -> bytes:
    """The beginning of a file in ISO boxes."""
    brands = b"".join(compatible)
    return (16 + len(brands)).to_bytes(4, "big") + b"ftyp" + brand + bytes(4) + brands + b"\0\0\0\x08free" + bytes(64)


FOREIGN = {
    "GIF": b"GIF89a" + bytes(32),
    "TIFF": b"II*\0" + bytes(32),
    "HTML or XML": b"\xef\xbb\xbf\n <!DOCTYPE html><html><body>404 Not Found</body></html>",
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(32),
    "ZIP": b"PK\x03\x04" + bytes(32),
    "HEIC": boxed(b"heic", b"mif1", b"heic"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_format_outside_the_list_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(FOREIGN[name])
    for read in (probe, lambda path: decode_audio(path, 16000), lambda path: sample_frames(path, 1.0, 1)):
        with pytest.raises(MediaError, match=rf"photo\.jpg: format {name} is not among those read"):
            read(path)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1", b"hevc"])
def test_a_photo_in_boxes_is_no_film_whatever_its_name(tmp_path: Path, brand: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(boxed(brand, b"miaf"))
    with pytest.raises(MediaError, match="format HEIC"):
        content_of(tmp_path / "a.mp4")


def box(name: bytes, payload: bytes = b"", wide: bool = False) -> bytes:
    """An ISO box, its length in 64 bits if `wide`."""
    size = len(payload) + (16 if wide else 8)
    return (b"\0\0\0\x01" + name + size.to_bytes(8, "big") if wide else size.to_bytes(4, "big") + name) + payload


def items(wide: bool = False) -> bytes:
    """The box that describes a photo's pictures."""
    return box(b"meta", bytes(4) + box(b"hdlr", bytes(8) + b"pict" + bytes(13)), wide)


@pytest.mark.parametrize("brand", [b"miaf", b"avci", b"jpeg", b"MiHE", b"vvic", b"heif", b"mp42", b"crx ", b"new1"])
def test_a_photo_in_boxes_is_no_film_whatever_its_brand(tmp_path: Path, brand: bytes) -> None:
    start = box(b"ftyp", brand + bytes(4) + b"mif1heic")
    for data in (
        start + items() + box(b"mdat", bytes(500)),
        start + box(b"free", bytes(3000)) + box(b"mdat", bytes(500), wide=True) + items(wide=True),
        box(b"free", bytes(8)) + start + items(),
        items() + box(b"mdat", bytes(500)),
    ):
        (tmp_path / "a.jpg").write_bytes(data)
        with pytest.raises(MediaError, match=r"a\.jpg: format HEIC"):
            content_of(tmp_path / "a.jpg")


def test_a_film_with_a_picture_among_its_boxes_is_a_film(tmp_path: Path) -> None:
    film = make.write_video(tmp_path / "a.mp4")
    film.write_bytes(film.read_bytes() + items())
    assert probe(film).kind == "video" and sample_frames(film, 1.0, 1)


def test_boxes_without_an_end_are_read_no_further(tmp_path: Path) -> None:
    for rest in (b"\0\0\0\0mdat" + items(), b"\0\0\0\x03free" + items(), b"\0\0\0\x01free", box(b"free") * 3000):
        (tmp_path / "a.mp4").write_bytes(box(b"ftyp", b"isom" + bytes(4)) + rest)
        assert content_of(tmp_path / "a.mp4") == "container"


def test_a_film_that_names_a_photo_brand_as_compatible_is_a_film(tmp_path: Path) -> None:
    (tmp_path / "a.mov").write_bytes(boxed(b"qt  ", b"qt  ", b"heic", b"avif"))
    assert content_of(tmp_path / "a.mov") == "container"


@pytest.mark.parametrize("turn", [1, 6])
def test_an_avif_photo_is_read_whole_and_upright_under_any_name(tmp_path: Path, turn: int) -> None:
    stored, exif = make.numbered_image(9), Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(stored).save(tmp_path / "a.avif", quality=100, exif=exif)
    path = (tmp_path / "a.avif").rename(tmp_path / "a.jpg")
    (frame,) = sample_frames(path, 1.0, 4)
    upright = stored if turn == 1 else np.rot90(stored, -1)
    assert probe(path).kind == "image" and frame.image.shape == upright.shape
    assert np.abs(frame.image.astype(int) - upright).mean() < 4


def test_a_pointer_to_a_large_file_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("version https://git-lfs/spec/v1\noid sha256:0123\nsize 1024\n")
    with pytest.raises(MediaError, match=r"a\.mp4: is a Git LFS pointer .* `git lfs pull`"):
        probe(tmp_path / "a.mp4")


def test_a_format_that_the_decoder_knows_and_we_do_not_read_is_refused_in_words(tmp_path: Path) -> None:
    Image.fromarray(make.numbered_image(1)).save(tmp_path / "a.ppm")
    with pytest.raises(MediaError, match=r"a\.ppm: .*its format is not among those read, or it is damaged"):
        probe(tmp_path / "a.ppm")
