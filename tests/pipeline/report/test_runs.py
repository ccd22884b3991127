"""Which run stands in which cell: the shipped ones fill the tables, a user's may, none stands in for another."""

import json
from pathlib import Path

import pytest

from pipeline.errors import RunError
from pipeline.report.paper_tables import match_runs, paper_tables, wanted_for
from pipeline.report.runs import Run, read_runs, recipes_of, run_of
from pipeline.resolved import resolved, settings_digest
from tests.pipeline.report.project import shipped_params, write_params


def evaluated(folder: Path, runs: list[str]) -> None:
    for run in runs:
        (folder / run).mkdir()
        (folder / run / "metrics.json").write_text("{}")
        for curve in ("roc", "det", "reliability"):
            (folder / run / f"{curve}.csv").write_text("list,x,y\n")


def runs_with(tmp_path: Path, changes: dict[str, dict[str, object]], only: bool = False) -> list[Run]:
    """The shipped runs, or none of them, and others, all evaluated."""
    raw = shipped_params()
    raw["experiments"] = ({} if only else raw["experiments"]) | changes
    params = write_params(tmp_path, raw)
    evaluated(tmp_path, list(params.experiments))
    return read_runs(params, tmp_path)


def test_each_shipped_run_fills_a_cell_of_the_tables(tmp_path: Path) -> None:
    runs = runs_with(tmp_path, {})
    recipes = ["honest", "best"]
    matched = [cell for table in paper_tables() for cell in match_runs(table, runs, recipes)]
    assert all(cell.run for cell in matched)
    assert {cell.recipe for cell in matched} == {"honest"}  # a rival's or our run of another recipe has no column
    assert {cell.run.name for cell in matched if cell.run} == {run.name for run in runs}


def test_run_of_another_name_fills_a_cell_by_its_settings(tmp_path: Path) -> None:
    runs = runs_with(tmp_path, {"mine": {"loss": "git", "method": "two_branch"}}, only=True)
    found = run_of(wanted_for("git", "two"), runs, "honest")
    assert found is not None
    assert found.name == "mine"
    assert run_of(wanted_for("git", "single"), runs, "honest") is None


def test_run_with_another_batch_size_does_not_displace_the_tables_own(tmp_path: Path) -> None:
    changes: dict[str, dict[str, object]] = {"a_variant": {"loss": "fop", "batch_size": 64}, "plain": {"loss": "fop"}}
    runs = runs_with(tmp_path, changes, only=True)
    found = run_of(wanted_for("fop", "single"), runs, "honest")
    assert found is not None
    assert found.name == "plain"


@pytest.mark.parametrize(
    ("row", "run"),
    [
        ("Deep Latent Space", {"method": "deep_latent_space", "loss": "center", "modality": "voice"}),
        ("Best (ours)", {"recipe": "best", "method": "two_branch", "loss": "fop"}),
        ("FOP", {"loss": "fop", "language": "English"}),
        ("DIMNet", {"method": "dimnet", "loss": "fop"}),
        ("Deep Latent Space", {"method": "deep_latent_space", "loss": "git", "order": "random"}),
        ("Multi-view", {"method": "multi_view", "loss": "fop"}),
        ("Disentangled", {"method": "drl", "loss": "arcface"}),
        ("MSM", {"method": "msm", "loss": "ce"}),
    ],
)
def test_a_run_of_another_modality_method_loss_or_language_fills_no_row(
    tmp_path: Path, row: str, run: dict[str, object]
) -> None:
    runs = runs_with(tmp_path, {"mine": run}, only=True)
    table = paper_tables()[2]
    assert any(row in cell.row for cell in table.cells)
    assert all(cell.run is None for cell in match_runs(table, runs, ["honest", "best"]))


def test_of_two_runs_alike_the_first_by_name_fills_a_cell(tmp_path: Path) -> None:
    runs = runs_with(tmp_path, {"b": {"loss": "fop"}, "a": {"loss": "fop"}}, only=True)
    assert (found := run_of(wanted_for("fop", "single"), runs, "honest")) and found.name == "a"


def test_a_fusion_fills_no_cell_of_its_members(tmp_path: Path) -> None:
    raw = shipped_params()
    raw["experiments"] = {"plain": {"loss": "fop"}, "best": {"recipe": "best"}}
    raw["fusions"] = {"both": ["best", "plain"]}
    params = write_params(tmp_path, raw)
    evaluated(tmp_path, ["both"])
    runs = read_runs(params, tmp_path)
    assert [run.metrics is not None for run in runs] == [False, False, True]
    assert run_of({"recipe": "best"}, runs, "best") is None and recipes_of(params, runs) == ["honest", "best"]


def test_recipes_do_not_mix_and_their_own_numbers_do_not_count_as_departures(tmp_path: Path) -> None:
    changes: dict[str, dict[str, object]] = {
        "official_git": {"recipe": "official", "loss": "git", "method": "two_branch"},
        "official_git_longer": {"recipe": "official", "loss": "git", "method": "two_branch", "epochs": 3},
    }
    runs = runs_with(tmp_path, changes, only=True)
    assert run_of(wanted_for("git", "two"), runs, "honest") is None
    found = run_of(wanted_for("git", "two"), list(reversed(runs)), "official")
    assert found is not None
    assert found.name == "official_git"


def test_run_that_was_not_evaluated_fills_nothing(tmp_path: Path) -> None:
    params = write_params(tmp_path, shipped_params())
    runs = read_runs(params, tmp_path)
    assert run_of(wanted_for("fop", "single"), runs, "honest") is None
    assert recipes_of(params, runs) == [params.train.recipe, "best"]


@pytest.mark.parametrize("order", ["hefhev", "fvfv", "alternate"])
def test_orders_stand_in_their_own_cells_only(tmp_path: Path, order: str) -> None:
    runs = runs_with(tmp_path, {"mine": {"loss": "fop", "order": order}}, only=True)
    assert run_of(wanted_for("fop", "single"), runs, "honest") is None  # Table I prints FOP with VFVF


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({"method": "two_branch", "loss": "center"}, False),
        ({"method": "two_branch", "methods": {"two_branch": {"embedding": 64}}}, False),
        ({"method": "two_branch", "order": "random"}, True),  # which does nothing in it
    ],
)
def test_results_of_other_settings_than_a_run_has_now_are_refused(
    tmp_path: Path, changes: dict[str, object], taken: bool
) -> None:
    raw = shipped_params()
    raw["experiments"] = {"mine": {"method": "two_branch"}}
    measured = settings_digest(resolved(write_params(tmp_path, raw), "mine"))
    evaluated(tmp_path, ["mine"])
    (tmp_path / "mine" / "metrics.json").write_text(json.dumps({"model": {"settings": measured}}))
    raw["experiments"] = {"mine": changes}
    params = write_params(tmp_path, raw)
    if taken:
        assert [run.name for run in read_runs(params, tmp_path)] == ["mine"]
        return
    with pytest.raises(RunError, match=r"other settings than params.yaml now gives run 'mine'.*evaluate@mine"):
        read_runs(params, tmp_path)
