"""What the last manifest measured, so that the next one reads only new and changed files.

It is beside the item cache and saves time only: a lost, damaged or outdated file means that all media are read.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import av
import pandas as pd

from pipeline.files import atomic_path
from pipeline.manifest.medium import Measured
from pipeline.media.probe import MediaInfo

_VERSION = 2  # raise it when probe() comes to judge the same bytes differently
_INFO = ("kind", "duration", "fps", "width", "height", "sample_rate", "audio_tracks", "notes")
_COLUMNS = ("stamp", "digest", "size", *_INFO)

logger = logging.getLogger(__name__)


def known_path(folder: Path) -> Path:
    """The file of this version of the code and of FFmpeg."""
    return folder / f"media-{_VERSION}-{av.__version__}.parquet"


def read_known(path: Path) -> dict[str, Measured]:
    """Measured media by stamp; none where the file is absent or damaged."""
    if not path.exists():
        return {}
    try:
        table = pd.read_parquet(path, columns=list(_COLUMNS))
    except (OSError, ValueError, KeyError) as error:
        logger.warning("%s cannot be read (%s); all media are read again", path, error)
        return {}
    known = {}
    for row in table.astype(object).where(table.notna(), None).itertuples(index=False):
        info = MediaInfo(**{name: getattr(row, name) for name in _INFO})
        known[row.stamp] = Measured(row.digest, row.size, info, stamp=row.stamp)
    return known


def write_known(path: Path, measured: Iterable[Measured]) -> None:
    """Replace the file by the readable media that may be trusted; unreadable ones are judged anew each time."""
    rows = [
        (one.stamp, one.digest, one.size, *(getattr(one.info, name) for name in _INFO))
        for one in measured
        if one.settled and one.info is not None
    ]
    whole = dict.fromkeys(("size", "width", "height", "sample_rate", "audio_tracks"), "Int64")
    text = dict.fromkeys(("stamp", "digest", "kind", "notes"), "string")
    types = {**text, "duration": "Float64", "fps": "Float64", **whole}
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(types)
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
