"""Beside Table III: which of its differences are real, and what each of its methods costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from string import ascii_lowercase

import pandas as pd

from pipeline.errors import RunError
from pipeline.metrics.bootstrap import IdentityResamples
from pipeline.metrics.paired import Difference, ResampledEER, eer_difference, holm, resampled_eer
from pipeline.protocol.vocabulary import CROSS_MODAL, RANDOM, UNSEEN
from pipeline.report.paper_tables import MatchedCell, sbnet_row
from pipeline.report.runs import Measured, Run
from pipeline.report.tables import ReportTable, Value
from pipeline.settings import EvaluateSettings

_REFERENCE = sbnet_row("fop")
_LIST = ("verification", CROSS_MODAL.name, RANDOM.name)
_TRIALS = ["left_row", "right_row", "label", "left_identity", "right_identity"]
_SHOWN = 30  # pairs on the page
_DECIMALS = 6  # in the CSV


@dataclass(frozen=True)
class Entry:
    """A row of Table III with its run."""

    name: str
    run: Run


def entries(matched: Sequence[MatchedCell]) -> list[Entry]:
    """The rows of a matched table under its first recipe, and its floor, that have a run, each once."""
    recipe = matched[0].recipe if matched else ""
    found = {cell.printed.row: cell.run for cell in matched if cell.run and cell.recipe == recipe}
    return [Entry(name, run) for name, run in found.items()]


def difference_tables(rows: Sequence[Entry], folder: Path, settings: EvaluateSettings) -> list[ReportTable]:
    """Each method against SBNet with FOP and against the best, and every pair of them.

    From the scores below `folder`. None where intervals are switched off, where fewer than two runs have scores, and
    where the people of the trials are not known. Raises RunError for scores that cannot be read.
    """
    known = [row for row in rows if row.run.scores_pairs and "identities" in row.run.group(*_LIST)]
    if len(known) < 2 or not settings.bootstrap:
        return []
    rates = _resampled(known, folder, settings)
    names = sorted(rates, key=lambda name: rates[name].mean)
    pairs = list(combinations(names, 2))
    found = {pair: eer_difference(rates[pair[0]], rates[pair[1]], settings.confidence) for pair in pairs}
    adjusted = dict(zip(pairs, holm([found[pair].p for pair in pairs]), strict=True))
    measured = {row.name: row.run.measured(*_LIST, "eer") for row in known}
    alpha = 1.0 - settings.confidence
    rows_of = _Comparison(names, rates, found, adjusted, alpha, settings.confidence)
    people, rules = rates[names[0]].people, {row.name: row.run.settings.selection for row in known}
    return [_marked(_summary(rows_of, measured, people), known), _pairs(rows_of, rules)]


def _marked(table: ReportTable, rows: Sequence[Entry]) -> ReportTable:
    """The table, a row of Table III a row, with what its run was chosen on."""
    rules = {row.name: row.run.settings.selection for row in rows}
    return replace(table, marks={row.name: row.run.mark for row in rows}, chosen_on=rules)


def _resampled(rows: Sequence[Entry], folder: Path, settings: EvaluateSettings) -> dict[str, ResampledEER]:
    """By name, of the runs that were scored on the trials of the first."""
    tables = {row.name: _scores(folder / row.run.name / "scores.parquet") for row in rows}
    first = next(iter(tables.values()))
    people = pd.concat([first["left_identity"], first["right_identity"]]).to_numpy()
    resamples = IdentityResamples(people, settings.bootstrap, settings.seed)
    found = {}
    for name, table in tables.items():
        if not table[_TRIALS].equals(first[_TRIALS]):
            raise RunError(f"{name}: its trials are not those of {rows[0].name}: run `dvc repro`")
        scores = table.filter(regex="^score_[0-9]+$").to_numpy().T
        sides = table["left_identity"].to_numpy(), table["right_identity"].to_numpy()
        found[name] = resampled_eer(scores, table["label"].to_numpy(), *sides, resamples)
    return found


def _scores(path: Path) -> pd.DataFrame:
    wanted = [("regime", "==", UNSEEN.name), ("task", "==", CROSS_MODAL.name), ("criterion", "==", RANDOM.name)]
    try:
        return pd.read_parquet(path, filters=wanted).reset_index(drop=True)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); run `dvc repro` again") from error


@dataclass(frozen=True)
class _Comparison:
    """Of runs by name, the best first: EER, differences of each earlier to each later one, and their p at once."""

    names: list[str]
    rates: dict[str, ResampledEER]
    differences: dict[tuple[str, str], Difference]
    adjusted: dict[tuple[str, str], float]
    alpha: float
    confidence: float

    def letters(self) -> dict[str, str]:
        """Letters by name: those in a row of names none of whose pairs differs share one."""
        groups: list[list[str]] = []
        for start in range(len(self.names)):
            end = start + 1
            while end < len(self.names) and not self._differ_from(self.names[start:end], self.names[end]):
                end += 1
            if not groups or end > self.names.index(groups[-1][-1]) + 1:
                groups.append(self.names[start:end])
        marks = [ascii_lowercase[number % 26] * (1 + number // 26) for number in range(len(groups))]
        return {
            name: "".join(mark for mark, group in zip(marks, groups, strict=True) if name in group)
            for name in self.names
        }

    def _differ_from(self, group: list[str], other: str) -> bool:
        """Whether any of a group differs from a later one, all pairs taken together."""
        return any(self.adjusted[one, other] < self.alpha for one in group)

    def to_reference(self, reference: str) -> dict[str, tuple[Difference, float]]:
        """Of every other run less the reference, with p-values that hold for all of these at once."""
        others = [name for name in self.names if name != reference]
        found = [eer_difference(self.rates[name], self.rates[reference], self.confidence) for name in others]
        return dict(zip(others, zip(found, holm([one.p for one in found]), strict=True), strict=True))


def _summary(runs: _Comparison, measured: dict[str, Measured | None], people: int) -> ReportTable:
    best, letters = runs.names[0], runs.letters()
    against = runs.to_reference(_REFERENCE) if _REFERENCE in runs.names else {}
    rows: list[tuple[Value, ...]] = []
    for name in runs.names:
        own, raised = against.get(name, (None, None))
        to_best = runs.differences.get((best, name))
        least = eer_difference(runs.rates[name], runs.rates[best], runs.confidence) if to_best else None
        columns = (_shown(own), _p(raised), _shown(least), _p(runs.adjusted.get((best, name))), letters[name])
        rows.append((name, measured[name], *columns))
    notes = (
        f"EER on the random list, {people} people; the best is {best}. Less: difference in points, below 0 where the "
        "row is better, with its interval. A difference has two kinds of chance in it, people and seeds: people are "
        "resampled, the same ones for both runs, and the deviation over each run's seeds is added "
        "(pipeline/metrics/paired.py).",
        f"p: how often equal methods would differ so much. Against {_REFERENCE} they hold for all rows at once (Holm); "
        "against the best for all pairs at once, because the best is known only after looking. Methods that share a "
        f"letter do not differ at {100 * runs.alpha:g} %, all pairs at once. With so few people many real differences "
        "cannot be told from chance.",
    )
    header = ("Method", "EER", f"Less {_REFERENCE}", "p", "Less the best", "p of all pairs", "Group")
    return ReportTable("differences", "Which differences are real", notes, header, tuple(rows))


def _pairs(runs: _Comparison, rules: Mapping[str, str]) -> ReportTable:
    ordered = sorted(runs.differences, key=lambda pair: runs.differences[pair].p)
    rows = tuple(
        (
            *(*pair, _shown(runs.differences[pair]), _p(runs.differences[pair].p), _p(runs.adjusted[pair])),
            ", ".join(dict.fromkeys(rules[name] for name in pair)),
        )
        for pair in ordered
    )
    notes = ("EER of the better less that of the worse, in points; p by itself, and of all pairs at once (Holm).",)
    header = ("Better", "Worse", "Difference", "p", "p of all pairs", "Chosen on")
    return ReportTable("difference_pairs", "Every pair", notes, header, rows, folded=True, shown=_SHOWN)


def _shown(difference: Difference | None) -> Measured | None:
    if difference is None:
        return None
    bounds = difference.interval
    low, high = (round(bounds.low, _DECIMALS), round(bounds.high, _DECIMALS)) if bounds else (None, None)
    return Measured(round(difference.value, _DECIMALS) + 0.0, low, high, None)  # and not -0.0


def _p(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 4)


def cost_table(rows: Sequence[Entry]) -> list[ReportTable]:
    """What each method costs; none where no run was timed."""
    lines: list[tuple[Value, ...]] = []
    for row in rows:
        cost = row.run.cost
        if cost is None:
            continue
        seconds = _numbers(cost.get("seconds"))
        deviation = stdev(seconds) if len(seconds) > 1 else None
        time = Measured(round(mean(seconds), 3), None, None, deviation and round(deviation, 3)) if seconds else None
        lines.append((row.name, row.run.name, _number(cost, "parameters"), time, _number(cost, "microseconds")))
    if not lines:
        return []
    notes = (
        "Values: of one network, its classifier included. Seconds: one seed, all epochs, with validation, on the "
        "machine that trained it; processor time of one thread, or on a GPU what the clock says. "
        "Microseconds: one score of a face and a voice, both embedded for it, 2,000 at once; where galleries are "
        "scored, one candidate.",
    )
    header = ("Method", "Run", "Values", "Seconds to train", "Microseconds a score")
    return [_marked(ReportTable("cost", "What each method costs", notes, header, tuple(lines)), rows)]


def _numbers(values: object) -> list[float]:
    return [float(value) for value in values if isinstance(value, int | float)] if isinstance(values, list) else []


def _number(cost: Mapping[str, object], key: str) -> float | int | None:
    value = cost.get(key)
    return value if isinstance(value, int) else round(value, 2) if isinstance(value, float) else None
