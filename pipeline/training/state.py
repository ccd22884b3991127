"""The state of an unfinished training, so that a killed one goes on where it was.

One safetensors file holds it all, so that no two files can disagree; what is no tensor is JSON in its metadata. It is
written between epochs, whole or not at all. All randomness of an epoch follows from its seed and its number, so the
state holds no generator, and what goes on is bit for bit what would have been (on the CPU).
"""

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pipeline.files import atomic_path

_FILE, _KEY = "state.safetensors", "state"
_LOG = logging.getLogger(__name__)
History = list[dict[str, float | int | None]]


@dataclass(frozen=True)
class State:
    """A training between two epochs."""

    epochs_done: int
    tensors: dict[str, Tensor]
    chosen: list[tuple[int, float | None, float | None] | None]  # per seed: epoch (from 1), EER, AUC chosen so far
    history: History


class StateFile:
    """Where one run keeps its state: `<folder>/<run>-<key>/`, the key being a digest of its settings and its data."""

    def __init__(self, folder: Path, run: str) -> None:
        self.parent, self.run, self.key = folder, run, ""

    def open(self, key: str) -> None:
        """Settle what is trained: a state written under another key is never looked at."""
        self.key = key

    @property
    def folder(self) -> Path:
        """The folder of this training."""
        return self.parent / f"{self.run}-{self.key[:16]}"

    @property
    def path(self) -> Path:
        """The file of this training."""
        return self.folder / _FILE

    def save(self, state: State) -> None:
        """Write the state in place of an earlier one."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
        facts = {"epochs_done": state.epochs_done, "chosen": state.chosen, "history": state.history}
        text = json.dumps({**facts, "key": self.key, "digest": _digest(tensors)})
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(save(tensors, metadata={_KEY: text}))

    def load(self) -> State | None:
        """The state to go on from, None if there is none.

        A state that is damaged, or of another training, is passed over with a warning and training begins anew: it is
        our own scratch file, and beginning anew gives the same bytes, later.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                facts = json.loads((file.metadata() or {})[_KEY])
                names = file.keys()
                tensors = {name: file.get_tensor(name) for name in names}
            if facts["key"] != self.key or facts["digest"] != _digest(tensors):
                raise ValueError("its contents are not what was written for this training")
            chosen = [None if best is None else (int(best[0]), best[1], best[2]) for best in facts["chosen"]]
            return State(int(facts["epochs_done"]), tensors, chosen, facts["history"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            _LOG.warning("%s cannot be used (%s): training begins anew", self.path, error)
            return None

    def remove(self) -> None:
        """Forget the state: the training is finished and its model written."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()  # safetensors has no checksum of its own, and one flipped bit would stay in the model
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()
