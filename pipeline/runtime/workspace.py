"""Paths of what outlives a run but is not an output of it: item cache, converted weights, training states, locks."""

import os
from pathlib import Path


def project_root() -> Path:
    """Folder of the project.

    DVC names it in DVC_ROOT, also inside the temporary copies that `dvc exp run --temp` and the queue work in,
    so that they all share one item cache.
    """
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def home() -> Path:
    """Folder of caches: SBNET_HOME, from the project's root on, or `.sbnet` there where that is unset or empty."""
    return (project_root() / Path(os.environ.get("SBNET_HOME") or ".sbnet").expanduser()).resolve()


def items_path() -> Path:
    """File of the item cache."""
    return home() / "items.sqlite"


def watched_path() -> Path:
    """File of what stages.media knows of the files of a large media folder."""
    return home() / "watched.sqlite"
