"""Cells of the paper's tables, and the run that fills each: found by settings, so that a user's own run may, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.protocol.vocabulary import CROSS_MODAL, RANDOM
from pipeline.report.runs import Measured, Run
from pipeline.settings import TrainSettings

Settings = Mapping[str, str | int]


@dataclass(frozen=True)
class Cell:
    """Figures of one network on one list: what the paper prints, and the settings of a run that may stand beside."""

    row: str
    column: str
    paper: Mapping[str, float | None]  # measure (eer, auc) -> percent
    wanted: Settings | None  # None: another's method, which no run of ours can be
    path: tuple[str, ...] = ("verification", CROSS_MODAL.name, RANDOM.name)  # in metrics.json

    def ours(self, run: Run | None) -> dict[str, Measured | None]:
        """Our figures by measure; None where the run, or this list of it, is absent."""
        return {measure: run.measured(*self.path, measure) if run else None for measure in self.paper}


def run_of(wanted: Settings | None, runs: Sequence[Run], recipe: str) -> Run | None:
    """The evaluated run of a recipe with the `wanted` settings, or None.

    Of several, the one that departs least from the recipe otherwise, then the first in params.yaml: a run with another
    batch size does not displace the table's own.
    """
    if wanted is None:
        return None
    fitting = [run for run in runs if run.metrics is not None and run.settings.recipe == recipe]
    fitting = [run for run in fitting if all(getattr(run.settings, key) == value for key, value in wanted.items())]
    return min(fitting, key=lambda run: len(departures(run, wanted)), default=None)


def departures(run: Run, besides: Settings) -> dict[str, object]:
    """The run's settings that differ from its recipe's, without those `besides` and those that do nothing in it."""
    own, theirs = run.settings.model_dump(), run.base.model_dump()
    ignored = {*besides, *_idle(run.settings)}
    return {key: own[key] for key in own if own[key] != theirs[key] and key not in ignored}


def _idle(settings: TrainSettings) -> set[str]:
    """Settings that do nothing in such a run."""
    idle = {"alternate_epochs"} if settings.order != "alternate" else set()
    return idle | ({"order", "alternate_epochs"} if settings.branch == "two" or settings.modality != "both" else set())
