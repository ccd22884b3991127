"""Lists by criteria that the paper has no table for."""

from collections.abc import Mapping

from pipeline.config import run_settings
from pipeline.report.run_tables import run_tables
from pipeline.report.runs import Run
from pipeline.report.tables import ReportTable
from tests.pipeline.settings_for_training import shipped, train_settings


def grids_of(metrics: Mapping[str, object]) -> dict[str, ReportTable]:
    settings = train_settings()
    return {grid.name: grid for grid in run_tables([Run("mine", settings, settings, metrics, None, None)], set())}


def rates(eer: float, auc: float) -> dict[str, float]:
    return {"eer": eer, "auc": auc}


RANDOM, LANGUAGE = {"random": rates(20.0, 88.0)}, {"L": rates(31.0, 75.0)}


def test_a_criterion_beyond_the_papers_has_a_table_that_says_what_impostors_share() -> None:
    grid = grids_of({"verification": {"cross_modal": {**RANDOM, **LANGUAGE}}})["other_criteria"]
    (row,) = grid.rows
    assert row[:2] == ("mine", "L") and [figure.value for figure in row[2:]] == [31.0, 75.0]
    assert "L: impostors share language with the genuine person" in grid.notes[0]


def test_seen_heard_lists_by_it_get_a_column_of_their_own() -> None:
    lists = {"verification": {"cross_modal": RANDOM}, "seen_heard": {"verification": {"cross_modal": RANDOM}}}
    plain = grids_of(lists)["seen_heard"]
    lists["seen_heard"] = {"verification": {"cross_modal": {**RANDOM, **LANGUAGE}}}
    assert plain.header == ("Run", "EER", "AUC random", "AUC G", "AUC N", "AUC A", "AUC GNA")
    grid = grids_of(lists)["seen_heard"]
    assert grid.header == (*plain.header, "AUC L")
    assert grid.rows[0][-1].value == 75.0


def test_without_such_a_list_there_is_no_such_table() -> None:
    assert "other_criteria" not in grids_of({"verification": {"cross_modal": RANDOM}})


def test_a_released_checkpoint_has_the_method_of_its_model_and_nothing_of_a_training() -> None:
    params = shipped().model_copy(update={"experiments": {"theirs": {"checkpoint": "x.pth.tar"}}})
    settings = run_settings(params, "theirs")
    run = Run("theirs", settings, settings, {"model": {"method": "two_branch"}}, None, None)
    every = next(table for table in run_tables([run], set()) if table.name == "runs")
    row = dict(zip(every.header, every.rows[0], strict=True))
    assert (row["Recipe"], row["Method"], row["Chosen on"]) == ("released checkpoint", "two_branch", "test")
    assert [row[column] for column in ("Loss", "Form", "Order", "Seeds")] == [""] * 4


def every_run(name: str, model: Mapping[str, str]) -> dict[str, object]:
    """The row of a shipped run in the table of all runs, by column; `model` is what its metrics.json says of it."""
    settings = run_settings(shipped(), name)
    table = run_tables([Run(name, settings, settings, {"model": model}, None, None)], set())[-1]
    return dict(zip(table.header, table.rows[0], strict=True))


def test_settings_that_do_nothing_in_a_run_are_not_said_of_it() -> None:
    columns = ("Loss", "Form", "Order")
    assert [every_run("single_fop", {"takes": "samples"})[name] for name in columns] == ["fop", "official", "vfvf"]
    assert [every_run("two_fop", {"takes": "pairs"})[name] for name in columns] == ["fop", "official", ""]
    assert [every_run("voice_only_fop", {"takes": "samples"})[name] for name in columns] == ["fop", "official", ""]
    assert [every_run("best", {"takes": "pairs", "epochless": "yes"})[name] for name in columns] == ["", "", ""]


def test_seeds_that_score_as_one_are_said_to() -> None:
    settings = train_settings(ensemble="seeds")
    (run,) = [Run("mine", settings, train_settings(), {"verification": {"cross_modal": RANDOM}}, None, None)]
    tables = {table.name: table for table in run_tables([run], set())}
    assert dict(zip(tables["runs"].header, tables["runs"].rows[0], strict=True))["Seeds"] == "3 as one"
    assert tables["other_runs"].rows[0][2] == "ensemble = seeds"


def test_a_fusion_stands_among_the_runs_with_its_members() -> None:
    changes = {"experiments": {"one": {}, "two": {"method": "two_branch"}}, "fusions": {"both": ["two", "one"]}}
    params = shipped().model_copy(update=changes)
    settings = run_settings(params, "both")
    metrics = {"verification": {"cross_modal": RANDOM}, "model": {"method": "fusion", "members": "one, two"}}
    tables = {table.name: table for table in run_tables([Run("both", settings, settings, metrics, None, None)], set())}
    row = dict(zip(tables["runs"].header, tables["runs"].rows[0], strict=True))
    assert (row["Recipe"], row["Method"], row["Seeds"]) == ("fusion of one, two", "fusion", 3)
    assert [row[column] for column in ("Loss", "Form", "Order")] == [""] * 3
    assert tables["other_runs"].rows[0][:3] == ("both", "fusion of one, two", "")
    assert row["EER"].value == 20.0
