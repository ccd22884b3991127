"""Train the student; goes on from the run's checkpoint if there is one.

    python -m tools.voice_encoder.train <voices.safetensors> <LibriSpeech .flac> <run folder> [--steps N]

On a CPU, preload tcmalloc (LD_PRELOAD=libtcmalloc_minimal.so.4): the default allocator gives the big activations back
to the system at every step, which costs a third of the time.
"""

import copy
import csv
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from extractors.voices.aggregator_network import DIMENSION, untrained
from pipeline.errors import ConfigError
from pipeline.files import atomic_path
from tools.voice_encoder import checkpoint
from tools.voice_encoder.command import count, options, run_command
from tools.voice_encoder.crops import Batch, Voices, batch, load_voices
from tools.voice_encoder.losses import codes, total_loss
from tools.voice_encoder.muon import optimisers
from tools.voice_encoder.recipe import Recipe, load_recipe
from tools.voice_encoder.schedule import decaying, rate_factor
from tools.voice_encoder.speakers import part, utterances
from tools.voice_encoder.trials import Segment, embedder, error_rate, require_trials, segments

log = logging.getLogger(__name__)


def hint_head(recipe: Recipe) -> nn.Linear:
    """The map from the student's frames to the teacher's, which starts at nothing and is thrown away at the end."""
    head = nn.Linear(DIMENSION, recipe.hints)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


class Run:
    """Student, its running average and optimisers of one run."""

    def __init__(self, recipe: Recipe, voices: Voices, folder: Path) -> None:
        self.recipe, self.voices, self.folder = recipe, voices, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.codes = codes(voices.vectors, recipe.lift, recipe.seed).to(self.device)
        self.student = untrained(recipe.seed)
        self.student.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.student).eval()
        self.hints = hint_head(recipe).to(self.device)
        muon, adam = optimisers(self.student, self.hints, recipe.optimiser.weight_decay)
        self.modules = {"student": self.student, "average": self.average, "hints": self.hints}
        self.optimisers: dict[str, torch.optim.Optimizer] = {"muon": muon, "adam": adam}
        self.checkpoint = folder / "checkpoint.safetensors"
        self.done = 0
        if self.checkpoint.exists():
            self.done = checkpoint.load(self.checkpoint, self.modules, self.optimisers)
            log.info("going on from step %d", self.done)

    def draw(self, step: int) -> Batch:
        """The batch of a step, the same however often the run was interrupted."""
        random = np.random.default_rng([self.recipe.seed, step])
        crops = self.recipe.crops
        if decaying(step, self.recipe.optimiser):
            return batch(self.voices, crops, crops.decay_seconds, crops.decay_classes, random)
        return batch(self.voices, crops, crops.seconds, crops.classes, random)

    def batches(self, workers: int) -> Iterator[Batch]:
        """Batches from the next step to the last, drawn ahead by threads."""
        ahead = 2 * workers
        with ThreadPoolExecutor(workers) as pool:
            waiting = [pool.submit(self.draw, self.done + index) for index in range(ahead)]
            for step in range(self.done, self.recipe.optimiser.steps):
                waiting.append(pool.submit(self.draw, step + ahead))
                yield waiting.pop(0).result()

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step; gives the loss's parts."""
        self._set_rates()
        spectrograms = batch.spectrograms.to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            features, scores = self.student.frames(spectrograms)
        features = features.float()
        embedding = self.student.embed(self.student.pool.residuals(features, scores.float()))
        predicted = self.hints(features.transpose(1, 2))
        voice, hints = batch.voice.to(self.device), batch.hints.to(self.device)
        losses = total_loss(embedding, voice, self.codes, predicted, hints, self.recipe.loss)
        losses["total"].backward()
        for optimiser in self.optimisers.values():
            optimiser.step()
            optimiser.zero_grad()
        self.done += 1
        self._update_average()
        return {name: loss.item() for name, loss in losses.items()}

    def _set_rates(self) -> None:
        settings = self.recipe.optimiser
        factor = rate_factor(self.done, settings)
        for name, peak in (("muon", settings.matrix_rate), ("adam", settings.rate)):
            for group in self.optimisers[name].param_groups:
                group["lr"] = peak * factor

    @torch.no_grad()
    def _update_average(self) -> None:
        """Average weights and running statistics over the last steps, over fewer at the start."""
        keep = min(self.recipe.optimiser.average, (1 + self.done) / (10 + self.done))
        for old, new in zip(self.average.state_dict().values(), self.student.state_dict().values(), strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - keep)


def mean(losses: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each part of the loss over some steps."""
    return {name: float(np.mean([one[name] for one in losses])) for name in losses[0]}


def record(history: Path, row: dict[str, float]) -> None:
    """Add a line to history.csv, in the place of the lines of this step and later ones that an interrupted run left."""
    rows: list[dict[str, str]] = []
    if history.exists():
        with history.open(encoding="utf-8", newline="") as file:
            rows = [one for one in csv.DictReader(file) if int(one["step"]) < row["step"]]
    with atomic_path(history) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, row])


def watch(run: Run, losses: list[dict[str, float]], trial_segments: list[Segment], started: float) -> None:
    """Add a line to history.csv, then save the checkpoint.

    In this order: a run killed between the two does the steps again and replaces the line. The other way round it would
    go on after them, and the line would never be written.
    """
    row: dict[str, float] = {"step": run.done, "seconds": round(time.monotonic() - started)}
    row |= {name: round(value, 4) for name, value in mean(losses).items()}
    row["validation_eer"] = round(error_rate(trial_segments, embedder(run.average)), 2)
    log.info("%s", row)
    record(run.folder / "history.csv", row)
    checkpoint.save(run.checkpoint, run.done, run.modules, run.optimisers)


def check_voices(voices: Voices, recipe: Recipe) -> None:
    """Raise ConfigError where a batch of the recipe cannot be drawn from the voices."""
    classes = max(recipe.crops.classes, recipe.crops.decay_classes)
    if len(voices) < classes:
        raise ConfigError(f"{len(voices)} voices make no batch of {classes}: prepare more, or lower crops.classes")
    if voices.hints.shape[1] != recipe.hints:
        raise ConfigError(
            f"the voices were prepared with {voices.hints.shape[1]} hints, the recipe has {recipe.hints}: prepare anew"
        )


def main() -> None:
    """Train from where the run stands to the recipe's last step."""
    arguments = options(__doc__)
    for name in ("voices", "speech", "run"):
        arguments.add_argument(name, type=Path)
    arguments.add_argument("--steps", type=count, help="instead of the recipe's: decides when the decay starts")
    arguments.add_argument("--workers", type=count, default=1, help="threads that draw batches")
    given = arguments.parse_args()
    recipe = load_recipe()
    if given.steps is not None:
        recipe = recipe.model_copy(update={"optimiser": recipe.optimiser.model_copy(update={"steps": given.steps})})
    trial_segments = segments(part(utterances(given.speech), "validation"), recipe.watch.validation_segment)
    # Now, because the first look at them comes only after recipe.watch.every steps.
    require_trials(trial_segments, f"the validation speakers of held_out.csv in {given.speech}")
    voices = load_voices(given.voices)
    check_voices(voices, recipe)
    given.run.mkdir(parents=True, exist_ok=True)
    run = Run(recipe, voices, given.run)
    started, losses = time.monotonic(), []
    bar = tqdm(run.batches(given.workers), initial=run.done, total=recipe.optimiser.steps, unit="step", mininterval=10)
    for drawn in bar:
        losses.append(run.learn(drawn))
        bar.set_postfix({name: f"{value:.3f}" for name, value in mean(losses[-25:]).items()}, refresh=False)
        if run.done % recipe.watch.every == 0 or run.done == recipe.optimiser.steps:
            watch(run, losses, trial_segments, started)
            losses = []


if __name__ == "__main__":
    run_command(main)
