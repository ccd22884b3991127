"""Run a stage and write down every item that its model is asked for: `python -m tests.faults.counted_stage STAGE FILE`.

The stage, its workers and its model are the real ones; only the model's call is wrapped, and it is given one item at a
time, so that a kill can fall anywhere between two of a few.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.extraction import steps
from stages.common import run_stage

_BUILDERS = {
    "detect_faces": ("extractors.faces.face", "face_detector"),
    "embed_faces": ("extractors.faces.face", "face_extractor"),
    "embed_voices": ("extractors.voices.voice", "voice_extractor"),
}


class Counted:
    """A model that adds a line to a file before each call."""

    def __init__(self, model: Any, file: Path) -> None:
        self._model, self._file = model, file

    def __call__(self, batch: Sequence[Any]) -> Any:
        with self._file.open("a") as file:
            file.write(f"{len(batch)}\n")
        return self._model(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def counted(build: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """A builder of counted models."""
    return lambda *arguments: Counted(build(*arguments), file)


if __name__ == "__main__":
    stage, calls = sys.argv[1], Path(sys.argv[2])
    steps.items_at_once = lambda device_type, independent: 1
    module, builder = import_module(_BUILDERS[stage][0]), _BUILDERS[stage][1]
    setattr(module, builder, counted(getattr(module, builder), calls))
    run_stage(import_module(f"stages.{stage}").main, arguments=[])  # the command line's are this program's own
