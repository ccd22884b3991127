"""What is looked at by its name decodes: endings that other ones of the list do not stand for."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.manifest.schema import KIND_OF_SUFFIX
from pipeline.media import decode_audio, probe
from tests import media_factory as make

RATE = 16000  # Hz


@pytest.mark.parametrize(("suffix", "format"), [(".w64", "W64"), (".aifc", "AIFF"), (".aiff", "AIFF"), (".caf", "CAF")])
def test_an_ending_of_sound_on_the_list_decodes(tmp_path: Path, suffix: str, format: str) -> None:
    samples, path = make.noise(0.5, RATE), tmp_path / f"a{suffix}"
    soundfile.write(path, samples, RATE, "PCM_16", format=format)
    assert KIND_OF_SUFFIX[suffix] == probe(path).kind == "audio"
    np.testing.assert_allclose(decode_audio(path, RATE), samples, atol=1e-4)


@pytest.mark.parametrize(("suffix", "written", "codec"), [(".weba", ".webm", "libopus"), (".3gpp", ".mp4", "aac")])
def test_an_ending_that_is_another_name_of_a_container_decodes(
    tmp_path: Path, suffix: str, written: str, codec: str
) -> None:
    path = make.write_audio_track(tmp_path / f"a{written}", make.tone(1.0, 48000), 48000, codec)
    path = path.rename(tmp_path / f"a{suffix}")
    assert suffix in KIND_OF_SUFFIX and len(decode_audio(path, RATE)) > 0.9 * RATE
