"""The state of an unfinished training, so that a killed one continues where it was.

One safetensors file a seed holds it all; what is no tensor is JSON in its metadata. It is written between epochs,
whole or not at all. All randomness of an epoch follows from its seed and its number, so the state holds no generator,
and a continued training is bit for bit the same as an undisturbed one (on the CPU).
"""

import json
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pipeline.files import atomic_path, sha256_hex

_KEY = "state"
_LOG = logging.getLogger(__name__)
History = list[dict[str, float | int | None]]


@dataclass(frozen=True)
class State:
    """The training of one seed between two epochs."""

    epochs_done: int
    tensors: dict[str, Tensor]
    chosen: tuple[int, float | None, float | None] | None  # epoch (from 1), EER, AUC of the best so far
    history: History
    seconds: float  # in epochs so far


class StateFile:
    """The saved states of a run, in `<folder>/<run>-<key>/`; the key is a digest of settings, data and code."""

    def __init__(self, folder: Path, run: str) -> None:
        self.parent, self.run, self.key = folder, run, ""

    def open(self, key: str) -> None:
        """Set the key of the training: a state written under another key is never read, which the log says."""
        self.key = key
        others = [path for path in self.parent.glob("*") if re.fullmatch(f"{self.run}-[0-9a-f]{{16}}", path.name)]
        if others and self.folder not in others:
            _LOG.warning(
                "%s holds a training of run %s under other settings, data or code: training begins anew",
                max(others, key=lambda path: path.stat().st_mtime),
                self.run,
            )

    @property
    def folder(self) -> Path:
        """The folder of this training."""
        return self.parent / f"{self.run}-{self.key[:16]}"

    def path(self, seed: int) -> Path:
        """The file of one seed of this training."""
        return self.folder / f"seed-{seed}.safetensors"

    def save(self, seed: int, state: State) -> None:
        """Write the state of a seed, replacing an earlier one."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
        header = {name: getattr(state, name) for name in ("epochs_done", "chosen", "history", "seconds")}
        text = json.dumps({**header, "key": self.key, "seed": seed, "digest": _digest(tensors)})
        try:
            with atomic_path(self.path(seed)) as temporary:
                temporary.write_bytes(save(tensors, metadata={_KEY: text}))
        except FileNotFoundError:
            _LOG.warning("%s: another process, which has ended the same training, removed the folder", self.path(seed))

    def load(self, seed: int) -> State | None:
        """The state of a seed to go on from, None if there is none.

        A state that is damaged, or of another training, is passed over with a warning and training begins anew: it is
        our own scratch file, and beginning anew gives the same bytes, later.
        """
        path = self.path(seed)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {})[_KEY])
                names = file.keys()
                tensors = {name: file.get_tensor(name) for name in names}
            if (header["key"], header["seed"], header["digest"]) != (self.key, seed, _digest(tensors)):
                raise ValueError("its contents are not what was written for this training")
            best = header["chosen"]
            chosen = None if best is None else (int(best[0]), best[1], best[2])
            return State(int(header["epochs_done"]), tensors, chosen, header["history"], float(header["seconds"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            _LOG.warning("%s cannot be used (%s): training begins anew", path, error)
            return None

    def remove(self) -> None:
        """Forget the states: the training is finished and its model written."""
        # A queue's other worker may do the same training, and the same here, at this moment.
        shutil.rmtree(self.folder, ignore_errors=True)


def _digest(tensors: dict[str, Tensor]) -> str:
    # safetensors has no checksum of its own, and one flipped bit would stay in the model
    return sha256_hex(*(part for name in sorted(tensors) for part in (name, tensors[name].numpy().data)), separator=b"")
