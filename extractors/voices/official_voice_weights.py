"""The published aggregator weights: fetched once, checked by the id their repository gives them, kept in the cache."""

import shutil
import urllib.error
import urllib.request
from pathlib import Path

from pipeline.errors import WeightsError
from pipeline.files import atomic_path, git_blob_id
from pipeline.runtime.workspace import home

# The authors' own copy lies on a drive; this repository holds the same network's weights. Whether the two files are the
# same bytes is not established.
COMMIT = "ed0985950cbac6dc699bf54f58dbbc813110d3f7"
URL = f"https://raw.githubusercontent.com/taylorlu/Speaker-Diarization/{COMMIT}/ghostvlad/pretrained/weights.h5"
BLOB_ID = "369d34b9d1e1558bcf4894ad89a380747e99eb74"
_TIMEOUT = 60.0  # s without a byte


def cached_file() -> Path:
    """Where the official weights are kept, whether they are there or not."""
    return home() / "weights" / "utterance_aggregator_official.h5"


def _fetch(url: str, target: Path) -> None:
    with atomic_path(target) as temporary:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response, temporary.open("wb") as file:
            shutil.copyfileobj(response, file)
        _check(temporary, url)


def is_official(path: Path) -> bool:
    """Whether a file holds the bytes that `official` stands for, whatever its name."""
    return git_blob_id(path) == BLOB_ID


def _check(path: Path, origin: str) -> None:
    if not is_official(path):
        raise WeightsError(
            f"{origin} is not the file that {URL} holds (git blob {BLOB_ID}): remove it and try again. To use another "
            "file, such as the authors' own, keep it elsewhere and set embed_voices.weights to its path"
        )


def official_file(url: str = URL) -> Path:
    """Path of the official weights, downloaded if the cache lacks them; raises WeightsError where that fails."""
    path = cached_file()
    if path.exists():
        _check(path, str(path))
        return path
    try:
        _fetch(url, path)
    except (urllib.error.URLError, OSError) as error:
        raise WeightsError(
            f"the official voice weights cannot be downloaded ({error}). Offline: fetch {url} elsewhere and put it at "
            f"{path}, or set embed_voices.weights to its path, or to `distilled`, which ships with the project"
        ) from error
    return path
