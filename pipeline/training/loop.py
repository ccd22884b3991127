"""Train the seeds of a run one after another and keep, of each, the network of its best epoch."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from pipeline.files import sha256_hex, sha256_of
from pipeline.methods import Method
from pipeline.runtime.progress import progress
from pipeline.runtime.threads import one_thread
from pipeline.scoring.model import Model
from pipeline.scoring.provenance import Provenance
from pipeline.settings import RunSettings
from pipeline.training.calibrate import ValidationHistory, calibrate
from pipeline.training.data import TrainingData
from pipeline.training.lists import TrainingLists, only_named
from pipeline.training.state import History, State, StateFile
from pipeline.training.trainer import Trainer
from pipeline.training.validation import Rates, Validator

VALIDATION = "validation"
_SCORES = "validation_scores"  # in the state
SAVE_EVERY = 5.0  # s between two writes of the state; what a kill can cost, plus an epoch
_PROJECT = Path(__file__).resolve().parents[2]
_ROOMS = ("training", "metrics", "scoring")  # of the code that trains every run


@dataclass(frozen=True)
class TrainedRun:
    """The chosen networks, and what happened in each epoch of each seed."""

    model: Model
    history: pd.DataFrame  # seed, epoch (from 1), learning_rate, loss, <list>_eer, <list>_auc, chosen
    seconds: tuple[float, ...] = ()  # of each seed, in its epochs


def train_run(
    settings: RunSettings,
    lists: TrainingLists,
    faces: np.ndarray,
    voices: np.ndarray,
    device: torch.device,
    state_file: StateFile | None = None,
    save_every: float = SAVE_EVERY,
    provenance: Provenance | None = None,
    code: Mapping[str, str] | None = None,
) -> TrainedRun:
    """Train a network a seed on faces (F, D) and voices (V, D) that the lists name, from the state in `state_file`.

    A seed's network depends on that seed alone, not on the seeds beside it. `provenance` says what filled the stores,
    `code` which files the method and the loss execute, with their SHA-256: a state of other code is not gone on from.
    Raises ConfigError when the loss stops being finite.
    """
    lists, faces, voices = only_named(lists, faces, voices)
    with one_thread():
        data = TrainingData(settings, lists, faces, voices, device)
        if state_file is not None:
            state_file.open(training_key(settings, data, code or {}))
        validators = {
            name: Validator(trials, data.faces, data.voices)
            for name, trials in ((VALIDATION, lists.validation), ("test", lists.test))
            if trials is not None
        }
        epochs = settings.epochs
        methods: list[Method] = []
        trainings: list[_SeedTraining] = []
        with progress(total=epochs * len(settings.seeds), desc="train", unit="epoch") as bar:
            for seed in settings.seeds:
                training = _SeedTraining(settings, Trainer(settings, data, seed), validators)
                training.run(state_file, save_every, bar)
                methods.append(training.trainer.best())
                trainings.append(training)
        chosen = tuple(training.chosen[0] if training.chosen else 0 for training in trainings)
        model = Model(methods, settings.model_dump(), data.sizes, chosen, provenance or {})
        stores, history = {"face": faces, "voice": voices}, _history(trainings, lists)
        model = calibrate(model, lists.calibration, stores, settings.calibration_prior, history)
    seconds = tuple(training.seconds for training in trainings)
    return TrainedRun(model, _table(trainings), seconds)


def clock(device: str) -> float:
    """Seconds, of which a difference is what something costs: of this process on a CPU, of the wall clock on a GPU."""
    return time.process_time() if device == "cpu" else time.monotonic()


def training_key(settings: RunSettings, data: TrainingData, code: Mapping[str, str]) -> str:
    """Hex SHA-256 of what decides the result of a training; `code`, file -> SHA-256, is the method's and the loss's."""
    parts = [settings.model_dump_json(), data.digest(), torch.__version__, data.device.type]
    parts += [f"{name} {digest}" for name, digest in sorted({**_own_code(), **code}.items())]
    return sha256_hex(*parts, separator=b"|")


def _own_code() -> dict[str, str]:
    """The files that train every run, with their SHA-256."""
    files = [_PROJECT / "pipeline/runtime/threads.py", _PROJECT / "pipeline/protocol/judged.py"]
    files += [file for room in _ROOMS for file in (_PROJECT / "pipeline" / room).glob("*.py")]
    return {file.relative_to(_PROJECT).as_posix(): sha256_of(file) for file in files}


class _SeedTraining:
    """The epochs of one seed."""

    def __init__(self, settings: RunSettings, trainer: Trainer, validators: dict[str, Validator]) -> None:
        self.settings, self.trainer, self.validators = settings, trainer, validators
        self.epochs = 1 if trainer.method.epochless else settings.epochs
        self.done = 0
        self.chosen: tuple[int, Rates | None] | None = None
        self.history: History = []
        self.seconds = 0.0  # in epochs, those before a kill included
        self.scores: list[Tensor] = []  # (N,) an epoch, of the validation trials that it is chosen on

    def run(self, state_file: StateFile | None, save_every: float, bar: "tqdm[int]") -> None:
        """Train what a state of this seed has not yet, and write a state now and then and at the end."""
        seed = self.trainer.seed
        if state_file is not None and (state := state_file.load(seed)) is not None:
            self._resume(state)
        bar.update(self.done)
        saved = time.monotonic()
        while self.done < self.epochs:
            started = clock(self.trainer.data.device.type)
            self._epoch(bar)
            self.seconds += clock(self.trainer.data.device.type) - started
            bar.update(1 if self.done < self.epochs else 1 + self.settings.epochs - self.epochs)
            late = time.monotonic() - saved >= save_every
            if state_file is not None and (late or self.done == self.epochs):
                state_file.save(seed, self._state())
                saved = time.monotonic()

    def _epoch(self, bar: "tqdm[int]") -> None:
        rate = self.settings.learning_rate * self.settings.decay**self.done
        loss = self.trainer.epoch(self.done, rate)
        scores = {name: validator.scores(self.trainer.method) for name, validator in self.validators.items()}
        rates = {name: self.validators[name].rates(own) for name, own in scores.items() if own is not None}
        if self.settings.selection == VALIDATION and (own := scores[VALIDATION]) is not None:
            self.scores.append(torch.from_numpy(own))
        self.done += 1
        row: dict[str, float | int | None] = {"seed": self.trainer.seed, "epoch": self.done}
        row |= {"learning_rate": rate, "loss": loss}
        for name, found in rates.items():
            row |= {f"{name}_eer": found.eer, f"{name}_auc": found.auc}
        self.history.append(row)
        deciding = rates.get(self.settings.selection)
        official = self.settings.selection == "test"
        if deciding is None or self.chosen is None or deciding.is_better_than(self.chosen[1], official=official):
            self.chosen = (self.done, deciding)
            self.trainer.take_snapshot()
        if deciding:
            bar.set_postfix_str(f"seed {self.trainer.seed}, loss {loss:.3f}, EER {deciding.eer:.1f} %")

    def _state(self) -> State:
        chosen = None if self.chosen is None else (self.chosen[0], *_figures(self.chosen[1]))
        scores = {_SCORES: torch.stack(self.scores)} if self.scores else {}
        return State(self.done, self.trainer.state() | scores, chosen, self.history, self.seconds)

    def _resume(self, state: State) -> None:
        self.trainer.restore(state.tensors)
        self.done, self.history, self.seconds = state.epochs_done, list(state.history), state.seconds
        self.scores = list(state.tensors.get(_SCORES, torch.empty(0)))
        self.chosen = None if state.chosen is None else (state.chosen[0], _rates(*state.chosen[1:]))


def _table(trainings: list[_SeedTraining]) -> pd.DataFrame:
    rows = [row for training in trainings for row in training.history]
    history = pd.DataFrame(rows).sort_values(["seed", "epoch"], kind="stable", ignore_index=True)
    chosen = {training.trainer.seed: training.chosen[0] if training.chosen else 0 for training in trainings}
    history["chosen"] = (history["epoch"] == history["seed"].map(chosen)).astype(int)
    return history


def _history(trainings: list[_SeedTraining], lists: TrainingLists) -> ValidationHistory | None:
    """What the epochs were chosen on; None where they were chosen on no validation trials, or there is but one."""
    scores = [torch.stack(training.scores).numpy() for training in trainings if len(training.scores) > 1]
    return ValidationHistory(lists.validation, scores) if lists.validation is not None and scores else None


def _figures(rates: Rates | None) -> tuple[float | None, float | None]:
    return (None, None) if rates is None else (rates.eer, rates.auc)


def _rates(eer: float | None, auc: float | None) -> Rates | None:
    """The inverse of _figures: None where the newest epoch is chosen whatever its rates (selection: last)."""
    return None if eer is None or auc is None else Rates(eer, auc)
