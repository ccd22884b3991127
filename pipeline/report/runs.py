"""The runs that params.yaml names: their settings, their results where they were evaluated, and how to find one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.config import run_settings
from pipeline.errors import RunError
from pipeline.resolved import SETTINGS, resolved, settings_digest
from pipeline.settings import Params, RunSettings

Settings = Mapping[str, str | int | float]  # some keys of train:, options as <method or loss>.<option>
_FLOORS = ("raw", "cca")
_RATIOS = ("min_dcf", "actual_dcf", "cllr", "min_cllr")  # shown with three decimals, percentages with one
MARK = "†"  # beside every figure of a model that was chosen on the test list


@dataclass(frozen=True)
class Measured:
    """One figure of a run: its mean over seeds, their deviation, and the bounds over resampled identities."""

    value: float
    low: float | None
    high: float | None
    std: float | None
    decimals: int = 1  # to be shown


@dataclass(frozen=True)
class Run:
    """One run by name; `metrics` is None where it was not evaluated."""

    name: str
    settings: RunSettings
    base: RunSettings  # what its recipe gives a run of its loss and method that says nothing else
    metrics: Mapping[str, object] | None
    roc: pd.DataFrame | None
    det: pd.DataFrame | None
    cost: Mapping[str, object] | None = None  # cost.json
    reliability: pd.DataFrame | None = None

    @property
    def is_floor(self) -> bool:
        """Whether it needs no training: what every method must beat."""
        return self.settings.method in _FLOORS

    @property
    def scores_pairs(self) -> bool:
        """Whether it was evaluated and gives scores of trials, not of galleries only."""
        return self.metrics is not None and self.group("model").get("compares") != "galleries"

    @property
    def is_trained(self) -> bool:
        """Whether it was trained here, by itself: neither a released checkpoint nor a fusion."""
        return self.settings.checkpoint is None and self.settings.fusion is None

    @property
    def idle(self) -> set[str]:
        """Keys of its settings that do nothing in it; what its method takes is known once it was evaluated."""
        model = self.group("model")
        return self.settings.idle(model.get("takes"), "epochless" in model)

    @property
    def mark(self) -> str:
        """The sign after its name and its figures on the page; empty for a run not chosen on the test list."""
        return f" {MARK}" if self.settings.selection == "test" else ""

    def measured(self, *path: str) -> Measured | None:
        """The figure at a path of metrics.json, such as ("verification", "cross_modal", "random", "eer")."""
        group = self.group(*path[:-1])
        value = group.get(path[-1])
        if not isinstance(value, int | float):
            return None
        low, high, std = (group.get(f"{path[-1]}_{part}") for part in ("low", "high", "std"))
        return Measured(float(value), _number(low), _number(high), _number(std), 3 if path[-1] in _RATIOS else 1)

    def group(self, *path: str) -> Mapping[str, object]:
        """The group at a path of metrics.json; empty where there is none."""
        group: object = self.metrics or {}
        for key in path:
            group = group.get(key, {}) if isinstance(group, dict) else {}
        return group if isinstance(group, dict) else {}


def read_runs(params: Params, folder: Path) -> list[Run]:
    """Every run of `experiments:` and `fusions:`, in their order, results from `folder`/<run>/.

    Raises RunError for damaged ones, and for results of other settings than params.yaml gives the run now.
    """
    return [read_run(name, params, folder / name) for name in params.runs]


def recipes_of(params: Params, runs: Sequence[Run]) -> list[str]:
    """Every recipe that a run uses, the one of `train:` first."""
    trained = [run.settings.recipe for run in runs if run.is_trained]
    return list(dict.fromkeys([params.train.recipe, *trained]))


def run_of(wanted: Settings, runs: Sequence[Run], recipe: str) -> Run | None:
    """The evaluated run of a recipe with the `wanted` settings, or None.

    Of several, the one that departs least from the recipe otherwise, then the first by name (DVC does not see in what
    order params.yaml has them): a run with another batch size does not displace the table's own. A run of one language
    alone, where `train:` asks for another, is none: the tables do not say so.
    """
    own = [run for run in runs if run.settings.fusion is None]  # a fusion has the recipe of a member
    fitting = [run for run in own if run.metrics is not None and run.settings.recipe == recipe]
    fitting = [run for run in fitting if wanted.items() <= _flat(run.settings).items()]
    fitting = [run for run in fitting if run.settings.language == run.base.language]
    return min(fitting, key=lambda run: (len(departures(run, wanted)), run.name), default=None)


def departures(run: Run, besides: Settings) -> dict[str, object]:
    """The run's settings that differ from its recipe's, without those `besides` and those that do nothing in it."""
    own, theirs = _flat(run.settings), _flat(run.base)
    ignored = {*besides, *run.idle}
    return {key: own[key] for key in own if own[key] != theirs.get(key) and key not in ignored}


def _flat(settings: RunSettings) -> dict[str, object]:
    """The settings of a run, options of its method and loss as `<name>.<option>`."""
    values = settings.model_dump()
    for kind in ("method", "loss"):
        values |= {f"{values[kind]}.{key}": value for key, value in values.pop(f"{kind}_options").items()}
    return values


def read_run(name: str, params: Params, folder: Path) -> Run:
    """One run, with results from `folder`; raises RunError as read_runs does."""
    settings = run_settings(params, name)
    base = _base(params, settings)
    if not (folder / "metrics.json").exists():
        return Run(name, settings, base, None, None, None)
    stage = "evaluate" if settings.fusion is None else "fuse"
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        roc, det, reliability = (pd.read_csv(folder / f"{curve}.csv") for curve in ("roc", "det", "reliability"))
        timed = folder / "cost.json"
        cost = json.loads(timed.read_text(encoding="utf-8")) if timed.exists() else None
    except (OSError, ValueError) as error:
        raise RunError(f"{folder}: results cannot be read ({error}); run `dvc repro {stage}@{name}` again") from error
    run = Run(name, settings, base, metrics, roc, det, cost, reliability)
    measured = run.group("model").get(SETTINGS)  # absent from results of before it was recorded
    if measured is not None and measured != settings_digest(resolved(params, name)):
        raise RunError(
            f"{folder}: its figures are of other settings than params.yaml now gives run {name!r}: "
            f"run `dvc repro {stage}@{name}`"
        )
    return run


def _base(params: Params, settings: RunSettings) -> RunSettings:
    if settings.checkpoint is not None or settings.fusion is not None:
        return settings
    own: dict[str, object] = {key: getattr(settings, key) for key in ("recipe", "loss", "method")}
    return run_settings(params.model_copy(update={"experiments": {"base": own}}), "base")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
