"""The tables beside Table III: differences against a better, a worse and an equal run, and costs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import RunError
from pipeline.report.comparison import Entry, cost_table, difference_tables
from pipeline.report.runs import Run
from pipeline.report.tables import to_csv
from tests.pipeline.evaluation.planted import settings, trials
from tests.pipeline.settings_for_training import train_settings

NAMES = {"SBNet, FOP": 1.5, "Better": 4.0, "Equal": 1.5, "Worse": 0.2}
EVALUATE = settings(bootstrap=200)


def entry(name: str, distance: float, folder: Path, number: int) -> Entry:
    """A run with the scores of two models on 2,000 trials, and its folder."""
    table = trials("unseen_unheard", "cross_modal", "random", count=2000, seed=1)
    other = trials("seen_heard", "cross_modal", "random", seed=2)
    rng = np.random.default_rng(number)
    both = pd.concat([other, table], ignore_index=True).drop(columns="subset")
    for model in range(2):
        both[f"score_{model}"] = (both["label"] * distance + rng.normal(size=len(both))).astype(np.float32)
    run = name.replace(", ", "_")
    (folder / run).mkdir()
    both.to_parquet(folder / run / "scores.parquet", index=False)
    metrics = {"verification": {"cross_modal": {"random": {"eer": 10.0, "identities": 12}}}}
    return Entry(name, Run(run, train_settings(), train_settings(), metrics, None, None))


@pytest.fixture
def rows(tmp_path: Path) -> list[Entry]:
    return [entry(name, distance, tmp_path, number) for number, (name, distance) in enumerate(NAMES.items())]


def test_differences_that_are_planted_are_found_and_no_others(rows: list[Entry], tmp_path: Path) -> None:
    summary, pairs = difference_tables(rows, tmp_path, EVALUATE)
    found = {row[0]: dict(zip(summary.header, row, strict=True)) for row in summary.rows}
    assert [*found][:1] == ["Better"] and [*found][-1:] == ["Worse"]
    assert found["Better"]["Less SBNet, FOP"].value < 0.0 < found["Worse"]["Less SBNet, FOP"].value
    assert max(found[name]["p"] for name in ("Better", "Worse")) < 0.05 < found["Equal"]["p"]
    assert found["SBNet, FOP"]["p"] is None and found["Better"]["p of all pairs"] is None
    groups = {name: row["Group"] for name, row in found.items()}
    assert groups == {"Better": "a", "Equal": "b", "SBNet, FOP": "b", "Worse": "c"}
    assert len(pairs.rows) == 6
    assert all(p <= raised for *_, p, raised, _ in pairs.rows)


def test_the_best_against_all_pairs_is_harder_to_tell_than_against_one_reference(
    rows: list[Entry], tmp_path: Path
) -> None:
    summary, pairs = difference_tables(rows, tmp_path, EVALUATE)
    by_pair = {frozenset(row[:2]): row for row in pairs.rows}
    reference = {row[0]: row[3] for row in summary.rows}
    for name in ("Better", "Worse", "Equal"):
        alone, raised = by_pair[frozenset(("SBNet, FOP", name))][3:5]
        assert alone <= reference[name] <= raised


def test_runs_chosen_on_the_test_list_are_marked_in_every_table(rows: list[Entry], tmp_path: Path) -> None:
    worse = next(row.run for row in rows if row.name == "Worse")
    chosen = replace(worse, settings=worse.settings.model_copy(update={"selection": "test"}), cost={"parameters": 3})
    marked = [Entry(row.name, chosen if row.name == "Worse" else row.run) for row in rows]
    summary, pairs = difference_tables(marked, tmp_path, EVALUATE)
    for table in (summary, *cost_table(marked)):
        assert table.marks["Worse"] == " †" and table.chosen_on["Worse"] == "test"
        assert to_csv(table).splitlines()[0].endswith("chosen_on")
    assert summary.marks["Better"] == ""
    assert {"test" in row[-1] for row in pairs.rows if "Worse" in row[:2]} == {True}


def test_runs_without_known_people_or_trials_of_their_own_have_no_such_table(rows: list[Entry], tmp_path: Path) -> None:
    assert difference_tables(rows[:1], tmp_path, EVALUATE) == []
    assert difference_tables(rows, tmp_path, settings(bootstrap=0)) == []
    for row in rows:
        del row.run.metrics["verification"]["cross_modal"]["random"]["identities"]
    assert difference_tables(rows, tmp_path, EVALUATE) == []


def test_scores_of_other_trials_are_refused(rows: list[Entry], tmp_path: Path) -> None:
    path = tmp_path / "Equal" / "scores.parquet"
    table = pd.read_parquet(path)
    table.iloc[::-1].to_parquet(path, index=False)
    with pytest.raises(RunError, match="Equal"):
        difference_tables(rows, tmp_path, EVALUATE)


def test_costs_are_a_row_for_each_run_that_was_timed(rows: list[Entry]) -> None:
    cost = {"parameters": 7, "seconds": [1.0, 3.0], "microseconds": 1.239, "device": "cpu"}
    own = rows[0].run
    timed = Entry("Timed", Run(own.name, own.settings, own.base, own.metrics, None, None, cost=cost))
    (table,) = cost_table([timed, *rows])
    ((name, run, values, seconds, microseconds),) = table.rows
    assert (name, run, values, microseconds) == ("Timed", own.name, 7, 1.24)
    assert (seconds.value, seconds.std) == (2.0, pytest.approx(2.0**0.5, abs=1e-3))
    assert cost_table(rows) == []
