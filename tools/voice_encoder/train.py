"""Train the student; goes on from the run's checkpoint if there is one.

    python -m tools.voice_encoder.train <voices> <rooms> <LibriSpeech .flac> <run folder> [--start W] [--steps N]

The rates stay until the last steps (`optimiser.decay`), so that the length need not be known before: stop the run when
time is up, and start it again with `--finish`, which lets them fall from where its checkpoint stands. What was learnt
at the constant rates stays in checkpoint.safetensors, the decay goes to decayed.safetensors: without `--finish` the run
goes on from the former. Voices may be added in between: prepare them anew and start with `--new-voices`, once.

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

from extractors.pretrained import read_safetensors
from extractors.voices.aggregator_network import DIMENSION, UtteranceAggregator, untrained
from extractors.voices.aggregator_weights import DISTILLED, load_state
from pipeline.errors import CheckpointError, ConfigError, WeightsError
from pipeline.files import atomic_path, sha256_of
from tools.voice_encoder import checkpoint
from tools.voice_encoder.channels import Channel
from tools.voice_encoder.command import count, options, run_command
from tools.voice_encoder.crops import Batch, Voices, batch, load_voices, voices_in_batch
from tools.voice_encoder.losses import codes, sounds_alike, total_loss
from tools.voice_encoder.muon import optimisers
from tools.voice_encoder.recipe import Optimiser, Recipe, load_recipe
from tools.voice_encoder.rooms import load_rooms
from tools.voice_encoder.schedule import decaying, rate_factor
from tools.voice_encoder.speakers import part, utterances
from tools.voice_encoder.trials import (
    Segment,
    altered,
    embedder,
    error_rate,
    require_trials,
    segments,
    through_channels,
)

log = logging.getLogger(__name__)


def hint_head(recipe: Recipe) -> nn.Linear:
    """The map from the student's frames to the teacher's, which starts at nothing and is thrown away at the end."""
    head = nn.Linear(DIMENSION, recipe.hints)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def first_student(recipe: Recipe, start: Path | None) -> UtteranceAggregator:
    """The student before the first step: a fresh network, or the weights of the recipe's digest.

    By default a shipped version; raises WeightsError where `start` is another file.
    """
    if recipe.start is None:
        return untrained(recipe.seed)
    start = start or DISTILLED.get(recipe.start)
    if start is None or not start.is_file() or sha256_of(start) != recipe.start:
        raise WeightsError(f"{start} is not what recipe.yaml starts from ({recipe.start[:12]}...): name it by --start")
    return load_state(read_safetensors(start), str(start))


class Run:
    """Student, its running average and optimisers of one run."""

    def __init__(
        self, recipe: Recipe, voices: Voices, channel: Channel, folder: Path, start: Path | None = None
    ) -> None:
        self.recipe, self.voices, self.channel, self.folder = recipe, voices, channel, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.codes = codes(voices.vectors, recipe.lift, recipe.seed).to(self.device)
        self.vectors = voices.vectors.to(self.device)
        self.student = first_student(recipe, start)
        self.student.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.student).eval()
        self.hints = hint_head(recipe).to(self.device)
        muon, adam = optimisers(self.student, self.hints, recipe.optimiser.weight_decay)
        self.modules = {"student": self.student, "average": self.average, "hints": self.hints}
        self.optimisers: dict[str, torch.optim.Optimizer] = {"muon": muon, "adam": adam}
        self.done = 0
        if (latest := self._latest()) is not None:
            self.done = checkpoint.load(latest, self.modules, self.optimisers)
            log.info("going on from step %d", self.done)

    def checkpoint(self) -> Path:
        """Where the steps done are kept: those of the decay apart, since a longer run does not go on from them."""
        name = "decayed" if decaying(self.done - 1, self.recipe.optimiser) else "checkpoint"
        return self.folder / f"{name}.safetensors"

    def require_same_voices(self) -> None:
        """Raise CheckpointError where the run's checkpoint learnt from other voices: its hints and codes are theirs."""
        latest = self._latest()
        if latest is not None and checkpoint.voices_of(latest) not in (None, self.voices.digest):
            raise CheckpointError(
                f"{latest} learnt from other voices: name the file it began with, or start once with --new-voices"
            )

    def _latest(self) -> Path | None:
        """The checkpoint of most steps that lie on this run's schedule."""
        constant, decayed = self.folder / "checkpoint.safetensors", self.folder / "decayed.safetensors"
        if decayed.exists() and checkpoint.decay_of(decayed) == self.decay_begins():
            return decayed
        return constant if constant.exists() else None

    def decay_begins(self) -> int:
        """The step from which the rates fall."""
        return self.recipe.optimiser.steps - self.recipe.optimiser.decay

    def save(self) -> None:
        """Write the checkpoint of the steps done."""
        digest, begins = self.voices.digest, self.decay_begins()
        checkpoint.save(self.checkpoint(), self.done, self.modules, self.optimisers, begins, digest)

    def draw(self, step: int) -> Batch:
        """The batch of a step, the same however often the run was interrupted."""
        rng = np.random.default_rng([self.recipe.seed, step])
        late = decaying(step, self.recipe.optimiser)
        return batch(self.voices, self.recipe.crops, self.channel, late, rng)

    def batches(self, workers: int) -> Iterator[Batch]:
        """Batches from the next step to the last, drawn ahead by threads."""
        ahead = 2 * workers
        with ThreadPoolExecutor(workers) as pool:
            waiting = [pool.submit(self.draw, self.done + index) for index in range(ahead)]
            for step in range(self.done, self.recipe.optimiser.steps):
                waiting.append(pool.submit(self.draw, step + ahead))
                yield waiting.pop(0).result()

    @torch.no_grad()
    def fit_hints(self) -> None:
        """Set the map to the hints by least squares over some batches: for a student that starts from weights.

        From nothing, the map would take hundreds of steps until its errors say anything to the student.
        """
        gram, cross = torch.zeros(DIMENSION + 1, DIMENSION + 1), torch.zeros(DIMENSION + 1, self.recipe.hints)
        self.student.eval()  # running statistics, which stay as they are
        for step in range(self.recipe.hint_batches):
            batch = self.draw(step)
            with torch.autocast(self.device.type, torch.bfloat16):
                features, _ = self.student.frames(batch.spectrograms.to(self.device, memory_format=torch.channels_last))
            frames = features.float().transpose(1, 2).flatten(0, 1).cpu()  # (B * T, 512)
            inputs = torch.cat([frames, torch.ones(len(frames), 1)], dim=1)
            gram += inputs.T @ inputs
            cross += inputs.T @ batch.hints.flatten(0, 1)
        self.student.train()
        gram += self.recipe.hint_ridge * gram.diagonal().mean() * torch.eye(len(gram))
        solution = torch.linalg.solve(gram, cross)
        self.hints.weight.copy_(solution[:-1].T)
        self.hints.bias.copy_(solution[-1])

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
        same = sounds_alike(self.vectors, voice, self.recipe.loss.alike)
        losses = total_loss(embedding, voice, self.codes, same, predicted, hints, self.recipe.loss)
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
    """Mean of each part of the loss over some steps; nothing before the first."""
    return {name: float(np.mean([one[name] for one in losses])) for name in losses[0]} if losses else {}


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


def validation_segments(recipe: Recipe, speech: Path) -> tuple[list[Segment], list[Segment]]:
    """Short segments and longer ones of the validation speakers; raises ScoreError where they make no trials."""
    recordings = part(utterances(speech), "validation")
    short, longer = (segments(recordings, length) for length in (recipe.watch.validation_segment, recipe.watch.segment))
    for found in (short, longer):
        require_trials(found, f"the validation speakers of held_out.csv in {speech}")
    return short, longer


def validation_trials(
    recipe: Recipe, channel: Channel, short: list[Segment], longer: list[Segment]
) -> dict[str, list[Segment]]:
    """What is tried, by the name of its column in history.csv.

    Short clean segments; longer ones through the test's single alterations; and through channels as training's.
    """
    draws = range(recipe.watch.draws)
    return {
        "validation_eer": short,
        "altered_eer": [one for draw in draws for one in altered(longer, draw, recipe.watch.altered_snr)],
        "channels_eer": [one for draw in draws for one in through_channels(longer, draw, channel)],
    }


def watch(run: Run, losses: list[dict[str, float]], trials: dict[str, list[Segment]], started: float) -> None:
    """Add a line to history.csv, then save the checkpoint.

    In this order: a run killed between the two does the steps again and replaces the line. The other way round it would
    go on after them, and the line would never be written.
    """
    row: dict[str, float] = {"step": run.done, "seconds": round(time.monotonic() - started)}
    row |= {name: round(value, 4) for name, value in mean(losses).items()}
    embed = embedder(run.average, bfloat16=True)
    row |= {name: round(error_rate(found, embed), 2) for name, found in trials.items()}
    log.info("%s", row)
    record(run.folder / "history.csv", row)
    run.save()


def check_voices(voices: Voices, recipe: Recipe) -> None:
    """Raise ConfigError where a batch of the recipe cannot be drawn from the voices."""
    shortest = min(recipe.crops.seconds[0], recipe.crops.decay_seconds[0])
    crops = voices_in_batch(recipe.crops, shortest)
    if len(voices) < crops:
        raise ConfigError(f"{len(voices)} voices make no batch of {crops}: prepare more, or lower crops.batch_seconds")
    if voices.hints.shape[1] != recipe.hints:
        raise ConfigError(
            f"the voices were prepared with {voices.hints.shape[1]} hints, the recipe has {recipe.hints}: prepare anew"
        )


def train(run: Run, trials: dict[str, list[Segment]], workers: int) -> None:
    """Take the steps that are left; history and checkpoint at each look, and the checkpoint alone in between.

    A run that is killed loses what came after the last checkpoint. Its next line in the history averages the losses of
    the steps from there on.
    """
    settings, started = run.recipe.watch, time.monotonic()
    losses: list[dict[str, float]] = []
    if run.done == 0:
        if run.recipe.start is not None:
            run.fit_hints()
        watch(run, losses, trials, started)
    saved = time.monotonic()
    steps = run.recipe.optimiser.steps
    bar = tqdm(run.batches(workers), initial=run.done, total=steps, unit="step", mininterval=10)
    for drawn in bar:
        losses.append(run.learn(drawn))
        bar.set_postfix({name: f"{value:.3f}" for name, value in mean(losses[-25:]).items()}, refresh=False)
        if run.done % settings.every == 0 or run.done == steps:
            watch(run, losses, trials, started)
            losses, saved = [], time.monotonic()
        elif run.done == run.decay_begins() or time.monotonic() - saved > settings.save_seconds:
            run.save()
            saved = time.monotonic()


def steps_to_finish(folder: Path, settings: Optimiser) -> int:
    """How many steps end in a decay that begins at the run's checkpoint; raises ConfigError where it has none."""
    if not (folder / "checkpoint.safetensors").exists():
        raise ConfigError(f"{folder} holds no checkpoint.safetensors: there is no run to finish")
    return checkpoint.step_of(folder / "checkpoint.safetensors") + settings.decay


def main() -> None:
    """Train from where the run stands to the recipe's last step."""
    arguments = options(__doc__)
    for name in ("voices", "rooms", "speech", "run"):
        arguments.add_argument(name, type=Path)
    end = arguments.add_mutually_exclusive_group()
    end.add_argument("--steps", type=count, help="instead of the recipe's: decides when the decay starts")
    end.add_argument("--finish", action="store_true", help="let the rates fall from where the checkpoint stands")
    arguments.add_argument("--new-voices", action="store_true", help="voices were prepared anew since the last run")
    arguments.add_argument("--start", type=Path, help="weights of the digest that recipe.yaml names, if none that ship")
    arguments.add_argument("--workers", type=count, default=1, help="threads that draw batches")
    given = arguments.parse_args()
    recipe = load_recipe()
    if given.finish:
        given.steps = steps_to_finish(given.run, recipe.optimiser)
    if given.steps is not None:
        recipe = recipe.model_copy(update={"optimiser": recipe.optimiser.model_copy(update={"steps": given.steps})})
    short, longer = validation_segments(recipe, given.speech)  # now: the first look at them is many steps away
    channel = Channel(recipe.channels, load_rooms(given.rooms))
    trials = validation_trials(recipe, channel, short, longer)
    voices = load_voices(given.voices)
    check_voices(voices, recipe)
    given.run.mkdir(parents=True, exist_ok=True)
    run = Run(recipe, voices, channel, given.run, given.start)
    if not given.new_voices:
        run.require_same_voices()
    if given.new_voices and run.done:
        run.fit_hints()  # their axes are those of the voices' own frames; the codes move a little, too
        run.save()
    train(run, trials, given.workers)


if __name__ == "__main__":
    run_command(main)
