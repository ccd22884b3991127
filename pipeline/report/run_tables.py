"""Tables of our own runs: all of them, those beyond the paper, and what the paper has no table for."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.protocol.judged import judged_on, learnt_tasks
from pipeline.protocol.vocabulary import (
    CRITERIA,
    CROSS_MODAL,
    F2F,
    F2V,
    PUBLISHED,
    RANDOM,
    RELEASED_MATCHING,
    SEEN,
    V2F,
    V2V,
    VERIFICATION_TASKS,
    Task,
)
from pipeline.report.runs import Run, departures
from pipeline.report.tables import ReportTable, Value

_CROSS = ("verification", CROSS_MODAL.name)
_DIRECTIONS = {task.name: task.words for task in (V2F, F2V, F2F, V2V)}


_MEASURES = {
    "eer": "EER",
    "auc": "AUC",
    "min_dcf": "minDCF",
    "actual_dcf": "DCF",
    "min_cllr": "min Cllr",
    "cllr": "Cllr",
}  # of the table of all runs

_CALIBRATED = {key: _MEASURES[key] for key in ("min_cllr", "cllr", "min_dcf", "actual_dcf")}


def run_tables(runs: Sequence[Run], placed: set[str]) -> list[ReportTable]:
    """Every table of ours; `placed` names the runs that are in Tables I to V. Tables without a row are left out."""
    runs = sorted(runs, key=lambda run: run.is_floor)
    done = [run for run in runs if run.metrics is not None]
    others = [run for run in done if run.name not in placed]
    tables = [_extra(others), _other_criteria(done), _seen_heard(done)]
    tables += [_matching(done), _released(done), _retrieval(done), _calibration(done)]
    every = replace(_all(runs), marks=_marks(runs))  # has a column of its own for what each was chosen on
    return [*(_marked(table, runs) for table in tables if table.rows), every]


def _marked(table: ReportTable, runs: Sequence[Run]) -> ReportTable:
    """The table, a run a row, with what each run was chosen on: on the page as a mark, in the CSV as a column."""
    return replace(table, marks=_marks(runs), chosen_on={run.name: run.settings.selection for run in runs})


def _marks(runs: Sequence[Run]) -> dict[str, str]:
    return {run.name: run.mark + (" (floor)" if run.is_floor else "") for run in runs}


def parity_table(runs: Sequence[Run]) -> ReportTable:
    """AUC by the list's own labels beside the AUC by the parity of its rows, for lists where the two differ."""
    rows: list[tuple[Value, ...]] = []
    for run in runs:
        for criterion in run.group("parity_labels"):
            wrong = run.measured("parity_labels", criterion, "labels_differing")
            rows.append(
                (
                    run.name,
                    criterion,
                    run.measured(*_CROSS, criterion, "auc"),
                    run.measured("parity_labels", criterion, "auc"),
                    round(wrong.value, 1) if wrong else None,
                )
            )
    notes = (
        "The official code takes every even row of a list for a genuine trial; where a list does not alternate, that "
        "makes this share of its labels wrong. The first AUC is right; the second is what that code reports.",
    )
    header = ("Run", "List", "AUC", "AUC by parity", "Labels wrong, %")
    return _marked(ReportTable("parity_labels", "Labels by row parity", notes, header, tuple(rows)), runs)


def _extra(runs: Sequence[Run]) -> ReportTable:
    rows = tuple((run.name, _recipe(run), _changes(run), _figure(run, "eer"), _figure(run, "auc")) for run in runs)
    notes = ("Evaluated runs that are in no table of the paper.",)
    return ReportTable(
        "other_runs", "Other runs", notes, ("Run", "Recipe", "Differs from the recipe in", "EER", "AUC"), rows
    )


def _other_criteria(runs: Sequence[Run]) -> ReportTable:
    rows = tuple(
        (run.name, name, *(run.measured(*_CROSS, name, measure) for measure in ("eer", "auc")))
        for run in runs
        for name in _criteria([run], _CROSS)
        if name not in PUBLISHED
    )
    names = [name for name in CRITERIA if any(row[1] == name for row in rows)]
    words = "; ".join(f"{name}: impostors share {CRITERIA[name].words} with the genuine person" for name in names)
    notes = (f"Unseen-unheard lists beyond the paper's Table II, voice against face. {words}.",)
    return ReportTable("other_criteria", "Other criteria", notes, ("Run", "List", "EER", "AUC"), rows)


def _criteria(runs: Sequence[Run], path: tuple[str, ...]) -> list[str]:
    """Criteria of the lists under a path of metrics.json, those that any of the runs has."""
    return [name for name in CRITERIA if any(name in run.group(*path) for run in runs)]


def _seen_heard(runs: Sequence[Run]) -> ReportTable:
    path, rows = (SEEN.name, *_CROSS), []
    criteria = [*PUBLISHED, *(name for name in _criteria(runs, path) if name not in PUBLISHED)]
    for run in runs:
        if run.group(*path):
            aucs = [run.measured(*path, criterion, "auc") for criterion in criteria]
            rows.append((run.name, run.measured(*path, RANDOM.name, "eer"), *aucs))
    notes = ("Other recordings of the identities that were trained on, voice against face.",)
    header = ("Run", "EER", *(f"AUC {criterion}" for criterion in criteria))
    return ReportTable("seen_heard", "Seen-heard identities", notes, header, tuple(rows), folded=True)


def _matching(runs: Sequence[Run]) -> ReportTable:
    groups = [(run, task, run.group("matching", task)) for run in runs for task in _DIRECTIONS]
    sizes = sorted({int(size) for _, _, group in groups for size in group if size.isdigit()})
    rows = tuple(
        (run.name, _DIRECTIONS[task], *(run.measured("matching", task, str(size), "accuracy") for size in sizes))
        for run, task, group in groups
        if group
    )
    notes = ("Percent of probes that find their person among N candidates; a tie is an error. Chance is 100 / N.",)
    header = ("Run", "Direction", *(f"N = {size}" for size in sizes))
    return ReportTable("matching", "Matching, 1 of N", notes, header, rows, folded=True)


def _released(runs: Sequence[Run]) -> ReportTable:
    groups = [(run, task, run.group("matching_released", task)) for run in runs for task in _DIRECTIONS]
    lists = [name for name in RELEASED_MATCHING if any(name in group for _, _, group in groups)]
    rows = tuple(
        (
            run.name,
            _DIRECTIONS[task],
            *(run.measured("matching_released", task, name, "2", "accuracy") for name in lists),
        )
        for run, task, group in groups
        if group
    )
    notes = ("The released 1:2 lists. U: any impostor; G, N, GN: one who shares gender, nationality, both.",)
    header = ("Run", "Direction", *lists)
    return ReportTable("matching_released", "Matching, released lists", notes, header, rows, folded=True)


def _retrieval(runs: Sequence[Run]) -> ReportTable:
    measures = {"recall_1": "R@1", "recall_5": "R@5", "recall_10": "R@10", "mean_average_precision": "mAP"}
    rows = tuple(
        (run.name, _DIRECTIONS[task], *(run.measured("retrieval", task, measure) for measure in measures))
        for run in runs
        for task in (V2F.name, F2V.name)
        if run.group("retrieval", task)
    )
    notes = (
        "Percent of queries with their person among the first K of the whole gallery, and mean average precision.",
    )
    header = ("Run", "Direction", *measures.values())
    return ReportTable("retrieval", "Retrieval", notes, header, rows, folded=True)


def _calibration(runs: Sequence[Run]) -> ReportTable:
    rows = []
    for run in runs:
        for task in learnt_tasks(run.settings.modality, VERIFICATION_TASKS):
            path = ("verification", task.name, RANDOM.name)
            if run.group(*path) and run.group("calibration", task.name):
                figures = (run.measured(*path, measure) for measure in _CALIBRATED)
                rows.append((run.name, task.words, *figures, _calibrated_on(run, task)))
    notes = (
        "What scores mean: each is mapped to a log-likelihood ratio, fitted on validation people. Cllr is its cost in "
        "bits, minimum Cllr what the best monotone map of the test trials themselves would cost, which no honest map "
        "of few people reaches; DCF is the detection cost of deciding by the ratios, minDCF of the best threshold.",
    )
    header = ("Run", "Task", *_CALIBRATED.values(), "Calibrated on")
    return ReportTable("calibration", "Calibration", notes, header, tuple(rows), folded=True)


def _calibrated_on(run: Run, task: Task) -> str:
    found = run.group("calibration", task.name)
    return str(found["reason"]) if "reason" in found else f"{found['people']} people"


def _all(runs: Sequence[Run]) -> ReportTable:
    rows = []
    for run in runs:
        settings = (_recipe(run), *_how_trained(run), run.settings.selection)
        figures = tuple(_figure(run, measure) for measure in _MEASURES)
        state = ("not run",) if run.metrics is None else (" ".join(_path(run)[1:]),)
        rows.append((run.name, *settings, *state, *figures))
    notes = (
        "Every run that params.yaml names. One modality: trials of that modality. minDCF is a ratio, not a percentage, "
        "and its interval is reflected: a least value over thresholds comes out too low, and lower in resamples. So is "
        "that of minimum Cllr. Cllr, in bits: 0 perfect, 1 nothing; empty where scores were not calibrated.",
    )
    columns = (
        "Recipe",
        "Method",
        "Modality",
        "Loss",
        "Form",
        "Order",
        "Seeds",
        "Chosen on",
        "List",
        *_MEASURES.values(),
    )
    return ReportTable("runs", "All runs", notes, ("Run", *columns), tuple(rows), folded=True)


def _how_trained(run: Run) -> tuple[Value, ...]:
    """Method, modality, loss, form, order and number of seeds, without those that do nothing in the run.

    Of a released checkpoint or a fusion what it has.
    """
    own = run.settings
    if own.checkpoint is not None:
        return (str(run.group("model").get("method", "")), own.modality, "", "", "", "")
    order = f"{own.order} {own.alternate_epochs}" if own.order == "alternate" else own.order
    fusion, form = own.method_options.get("fusion"), str(own.loss_options.get("form", ""))
    method = f"{own.method}, {fusion}" if fusion else own.method
    if own.fusion is not None:
        return (own.method, own.modality, "", "", "", own.judges)
    seeds = f"{len(own.seeds)} as one" if own.ensemble == "seeds" else len(own.seeds)
    shown = {"loss": own.loss, "loss_options": form, "order": order}
    loss, form, order = ("" if key in run.idle else text for key, text in shown.items())
    return (method, own.modality, loss, form, order, seeds)


def _path(run: Run) -> tuple[str, ...]:
    """The list that a run is judged by first: of the modalities that it was trained on."""
    return ("verification", judged_on(run.settings.modality).name, RANDOM.name)


def _figure(run: Run, measure: str) -> Value:
    return run.measured(*_path(run), measure)


def _recipe(run: Run) -> str:
    if run.settings.fusion is not None:
        return f"fusion of {', '.join(run.settings.fusion)}"
    return run.settings.recipe if run.settings.checkpoint is None else "released checkpoint"


def _changes(run: Run) -> str:
    if run.settings.fusion is not None:
        return ""
    return ", ".join(f"{key} = {value}" for key, value in departures(run, {}).items()) or "nothing"
