"""Train all seeds of a run at once and keep, for each, the network of its best epoch."""

import hashlib
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from pipeline.runtime.progress import progress
from pipeline.settings import TrainSettings
from pipeline.training.feed import Feed
from pipeline.training.lists import TrainingLists
from pipeline.training.model import Model
from pipeline.training.state import History, State, StateFile
from pipeline.training.threads import one_thread
from pipeline.training.trainer import Trainer
from pipeline.training.validation import Judge, Rates

SAVE_EVERY = 5.0  # s between two writes of the state; what a kill can cost, plus an epoch
_VERSION = 1  # of the arithmetic: raise it when a change here makes other numbers of the same settings


@dataclass(frozen=True)
class TrainedRun:
    """The chosen networks, and what happened in each epoch of each seed."""

    model: Model
    history: pd.DataFrame  # seed, epoch (from 1), learning_rate, loss, <list>_eer, <list>_auc, chosen


def training_key(settings: TrainSettings, feed: Feed) -> str:
    """Hex SHA-256 of what decides the result of a training."""
    parts = (str(_VERSION), settings.model_dump_json(), feed.digest(), torch.__version__, feed.faces.device.type)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def train_run(
    settings: TrainSettings,
    lists: TrainingLists,
    faces: np.ndarray,
    voices: np.ndarray,
    device: torch.device,
    state_file: StateFile | None = None,
    save_every: float = SAVE_EVERY,
) -> TrainedRun:
    """Train S networks on faces (F, D) and voices (V, D) that the lists name, from the state in `state_file` if any.

    Network s depends on seed s alone, not on the seeds beside it. Raises ConfigError when the loss stops being finite.
    """
    with one_thread():
        feed = Feed(settings, lists, faces, voices, device)
        trainer = Trainer(settings, feed, device)
        judges = {
            name: Judge(trials, feed.faces, feed.voices)
            for name, trials in (("validation", lists.validation), ("test", lists.test))
            if trials is not None
        }
        course = _Course(settings, trainer, judges)
        if state_file is not None:
            state_file.open(training_key(settings, feed))
            if (state := state_file.load()) is not None:
                course.resume(state)
        course.run(state_file, save_every)
        return course.finish()


class _Course:
    """The epochs of one training."""

    def __init__(self, settings: TrainSettings, trainer: Trainer, judges: dict[str, Judge]) -> None:
        self.settings, self.trainer, self.judges = settings, trainer, judges
        self.done = 0
        self.chosen: list[tuple[int, Rates | None] | None] = [None for _ in settings.seeds]
        self.history: History = []

    def run(self, state_file: StateFile | None, save_every: float) -> None:
        saved = time.monotonic()
        with progress(total=self.settings.epochs, initial=self.done, desc="train", unit="epoch") as bar:
            while self.done < self.settings.epochs:
                self._epoch(bar)
                bar.update()
                if state_file is not None and time.monotonic() - saved >= save_every:
                    state_file.save(self.state())
                    saved = time.monotonic()

    def _epoch(self, bar: "tqdm[int]") -> None:
        rate = self.settings.learning_rate * self.settings.decay**self.done
        losses = self.trainer.epoch(self.done, rate)
        seeds = len(self.settings.seeds)
        rates = {name: judge(self.trainer.network, seeds) for name, judge in self.judges.items()}
        self.done += 1
        for index, seed in enumerate(self.settings.seeds):
            row: dict[str, float | int | None] = {"seed": seed, "epoch": self.done, "learning_rate": rate}
            row["loss"] = losses[index]
            for name, each in rates.items():
                row |= {f"{name}_eer": each[index].eer, f"{name}_auc": each[index].auc}
            self.history.append(row)
        deciding = rates.get(self.settings.selection)
        for index, best in enumerate(self.chosen):
            found = None if deciding is None else deciding[index]
            if found is None or best is None or found.beats(best[1]):
                self.chosen[index] = (self.done, found)
                self.trainer.keep(index)
        if deciding:
            bar.set_postfix_str(f"loss {np.mean(losses):.3f}, EER {np.mean([each.eer for each in deciding]):.1f} %")

    def state(self) -> State:
        chosen = [None if best is None else (best[0], *_figures(best[1])) for best in self.chosen]
        return State(self.done, self.trainer.state(), chosen, self.history)

    def resume(self, state: State) -> None:
        self.trainer.restore(state.tensors)
        self.done, self.history = state.epochs_done, list(state.history)
        self.chosen = [None if best is None else (best[0], _rates(best[1], best[2])) for best in state.chosen]

    def finish(self) -> TrainedRun:
        epochs = [best[0] if best else 0 for best in self.chosen]
        history = pd.DataFrame(self.history).sort_values(["seed", "epoch"], kind="stable", ignore_index=True)
        chosen = dict(zip(self.settings.seeds, epochs, strict=True))
        history["chosen"] = (history["epoch"] == history["seed"].map(chosen)).astype(int)
        model = Model(self.trainer.best(), self.settings, self.trainer.feed.sizes, tuple(epochs))
        return TrainedRun(model, history)


def _figures(rates: Rates | None) -> tuple[float | None, float | None]:
    return (None, None) if rates is None else (rates.eer, rates.auc)


def _rates(eer: float | None, auc: float | None) -> Rates | None:
    """The inverse of _figures: None where the newest epoch is chosen whatever its rates (selection: last)."""
    return None if eer is None or auc is None else Rates(eer, auc)
