"""Other bytes under the path of a user's weights never pass for the weights that results were made with."""

import logging
from pathlib import Path

import pytest

from extractors.pretrained import own_file
from pipeline.errors import WeightsError
from pipeline.files import sha256_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine #2.safetensors"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("digits", [8, 12, 64])
def test_file_of_the_digest_is_taken_without_a_word(file: Path, digits: int, caplog: pytest.LogCaptureFixture) -> None:
    assert own_file(f"{file}#{sha256_of(file)[:digits]}", "embed_faces") == file
    assert caplog.text == ""


def test_file_of_another_digest_is_refused_with_the_line_to_write(file: Path) -> None:
    pinned = f"{file}#{sha256_of(file)[:12]}"
    file.write_bytes(b"trained again")
    with pytest.raises(WeightsError, match=rf"other bytes than embed_voices\.weights.*#{sha256_of(file)[:12]}`"):
        own_file(pinned, "embed_voices")


def test_file_without_a_digest_is_taken_and_the_log_says_what_to_write(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert own_file(str(file), "embed_voices") == file
    assert f"`embed_voices.weights: {file}#{sha256_of(file)[:12]}`" in caplog.text
    assert "`dvc repro --single-item --force embed_voices`" in caplog.text
    assert own_file(caplog.text.split("weights: ")[1].split("`")[0], "embed_voices") == file


@pytest.mark.parametrize("given", ["absent.h5", "absent.h5#0123456789ab", "casia", ""])
def test_what_is_no_file_is_left_to_the_caller(given: str) -> None:
    assert own_file(given, "embed_faces") == Path(given)
