"""A trained run as a thing to call: its model file, where its vectors must come from, its scores, and `Scorer`.

Names are loaded when they are asked for: all but Scorer bring torch along, and so does Scorer once it loads a run.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.scoring.model import MODEL, Model, load_model, save_model
    from pipeline.scoring.scorer import Scorer

__all__ = ["MODEL", "Model", "Scorer", "load_model", "save_model"]

# Where a name is; all others are in model. No function called as its file can be here: the file would take its place.
_FILES = {"Scorer": "scorer"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES.get(name, 'model')}"), name)
