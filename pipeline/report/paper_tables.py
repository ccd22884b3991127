"""Tables I to V: the paper's figures cell by cell and, for every recipe that was run, the run of ours beside each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.protocol.vocabulary import CROSS_MODAL, FACES, PUBLISHED, RANDOM, VERIFICATION_TASKS, VOICES
from pipeline.report import paper
from pipeline.report.runs import Measured, Run, Settings, run_of
from pipeline.report.tables import csv_text

_COLUMNS = ("row", "column", "measure", "paper", "recipe", "run", "ours", "low", "high", "std", "seeds", "chosen_on")
_CROSS_MODAL = ("verification", CROSS_MODAL.name, RANDOM.name)
_SAME_GENDER = ("verification", CROSS_MODAL.name, "G")
_BOTH: Settings = {"modality": "both"}
_SINGLE: Settings = {"method": "sbnet", **_BOTH}
_NETWORKS: dict[str, tuple[str, Settings, tuple[str, ...]]] = {
    "single": ("Single branch", _SINGLE, _CROSS_MODAL),
    "two": (
        "Two-branch",
        {"method": "two_branch", "modality": "both"},
        _CROSS_MODAL,
    ),
    "voice": ("Voice only", {"method": "sbnet", "modality": "voice"}, ("verification", VOICES.name, RANDOM.name)),
    "face": ("Face only", {"method": "sbnet", "modality": "face"}, ("verification", FACES.name, RANDOM.name)),
}


# Row of Table III -> settings of its run, of the methods that are not SBNet's, with the loss that each was published
# with; those without one here bring their own and are refused another.
_OTHERS: dict[str, Settings] = {
    "DIMNet": {"method": "dimnet", "loss": "ce", **_BOTH},
    "Learnable PINs": {"method": "pins", **_BOTH},
    "MAV-Celeb": {"method": "mav_celeb", **_BOTH},
    "Deep Latent Space": {"method": "deep_latent_space", "loss": "center", **_BOTH},
    "Multi-view": {"method": "multi_view", "loss": "ce", **_BOTH},
    "Adversarial-Metric": {"method": "aml", **_BOTH},
    "Disentangled": {"method": "drl", "loss": "ce", **_BOTH},
    "VFDN": {"method": "vfdn", **_BOTH},
    "SVHF": {"method": "svhf", **_BOTH},
    "PAEFF (2025)": {"method": "paeff", **_BOTH},
    "MSM (2026)": {"method": "msm", "loss": "fop", **_BOTH},
}
# Heads that nobody published as they are here, and ours.
_NEWER: dict[str, Settings] = {
    "SBNet, InfoNCE + CE": {**_SINGLE, "loss": "ntxent", "ntxent.alpha_ce": 1.0},
    "SBNet, InfoNCE": {**_SINGLE, "loss": "ntxent", "ntxent.alpha_ce": 0.0},
    "Two-branch, InfoNCE + CE": {"method": "two_branch", **_BOTH, "loss": "ntxent", "ntxent.alpha_ce": 1.0},
    "Best (ours)": {"recipe": "best", "method": "identity_cca", **_BOTH},
}
_CCA: Settings = {"method": "cca", **_BOTH}
_FLOOR = "Ridge CCA (floor)"
FLOORS = (
    "Floor, at the foot: ridge CCA across modalities, in closed form, and the extractors' vectors as they are within "
    "one. Nothing is trained; what does not beat it learnt nothing."
)


@dataclass(frozen=True)
class Cell:
    """Figures of one network on one list: what the paper prints, and the settings of the run to show beside it."""

    row: str
    column: str
    paper: Mapping[str, float | None]  # measure (eer, auc) -> percent
    wanted: Settings
    path: tuple[str, ...] = _CROSS_MODAL  # in metrics.json
    floor: bool = False  # of what needs no training
    any_recipe: bool = False  # shown once, of a run of whatever recipe: not one of the paper's networks

    def ours(self, run: Run | None) -> dict[str, Measured | None]:
        """Our figures by measure; None where the run, or this list of it, is absent."""
        return {measure: run.measured(*self.path, measure) if run else None for measure in self.paper}


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper, cell by cell, in its order of rows and columns."""

    name: str  # of its CSV
    title: str
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    beside: bool = False  # ours in columns beside the published figures, not in lines below them


@dataclass(frozen=True)
class MatchedCell:
    """A cell and the run of one recipe that fills it; `run` is None where there is none."""

    printed: Cell
    recipe: str
    run: Run | None

    @property
    def figures(self) -> dict[str, Measured | None]:
        """Ours, by measure."""
        return self.printed.ours(self.run)


def wanted_for(loss: str, network: str) -> Settings:
    """Settings of Table I's run for a loss and a kind of network."""
    settings: Settings = {**_NETWORKS[network][1], "loss": loss}
    return {**settings, "order": paper.TABLE_1_ORDER[loss]} if network == "single" else settings


def paper_tables() -> list[PaperTable]:
    """All five."""
    return [_table_1(), _table_2(), _table_3(), _table_4(), _table_5()]


def match_runs(table: PaperTable, runs: Sequence[Run], recipes: Sequence[str]) -> list[MatchedCell]:
    """Every cell of a table under the first recipe, and under each other one that filled a cell of it."""
    found = {recipe: list(_match_recipe(recipe, table, runs, recipes)) for recipe in recipes}
    shown = [recipe for recipe in recipes if recipe == recipes[0] or any(cell.run for cell in found[recipe])]
    return [cell for recipe in shown for cell in found[recipe]]


def _match_recipe(recipe: str, table: PaperTable, runs: Sequence[Run], recipes: Sequence[str]) -> Iterator[MatchedCell]:
    for cell in table.cells:
        if not cell.any_recipe:
            yield MatchedCell(cell, recipe, run_of(cell.wanted, runs, recipe))
        elif recipe == recipes[0]:
            fitting = (run_of(cell.wanted, runs, other) for other in recipes)
            yield MatchedCell(cell, recipe, next((run for run in fitting if run), None))


def matched_csv(matched: Sequence[MatchedCell]) -> str:
    """One line a cell, measure and recipe; "not run" in the column of the run where there is none."""
    return csv_text([line for cell in matched for line in _lines(cell)], _COLUMNS)


def _lines(cell: MatchedCell) -> Iterator[list[object]]:
    printed, run = cell.printed, cell.run
    for measure, figure in cell.figures.items():
        name = run.name if run else "not run"
        ours = [None] * 4 if figure is None else [figure.value, figure.low, figure.high, figure.std]
        how = [len(run.settings.seeds), run.settings.selection] if run else [None, None]
        recipe = run.settings.recipe if run else cell.recipe
        yield [printed.row, printed.column, measure, printed.paper[measure], recipe, name, *ours, *how]


def _table_1() -> PaperTable:
    cells = [
        Cell(name, _NETWORKS[network][0], _rates(pair), wanted_for(loss, network), _NETWORKS[network][2])
        for loss, name in paper.LOSSES.items()
        for network, pair in paper.TABLE_1[loss].items()
    ]
    floors = [_floor(name, path, row="Floor") for name, _, path in _NETWORKS.values()]
    notes = (
        "Single branch and two-branch: voice against face. Voice only and face only: trained on one modality, tested "
        "on two samples of it from different recordings.",
        "Single-branch orders as in the paper: FOP with VFVF, Center and Git with FVFV. Two-branch: fused as the "
        "recipe says (gated, as in the paper, or linear); All runs names it.",
        FLOORS,
    )
    title = "Table I. Single branch against two branches and one modality"
    return PaperTable("table1", title, notes, (*cells, *floors))


def _table_2() -> PaperTable:
    cells = [
        Cell(
            f"{name}, {_NETWORKS[network][0].lower()}",
            _named(criterion),
            {"auc": auc},
            wanted_for(loss, network),
            ("verification", CROSS_MODAL.name, criterion),
        )
        for loss, name in paper.LOSSES.items()
        for network in ("single", "two")
        for criterion, auc in zip(PUBLISHED, paper.TABLE_2[loss][network], strict=True)
    ]
    floors = [
        _floor(_named(criterion), ("verification", CROSS_MODAL.name, criterion), ("auc",)) for criterion in PUBLISHED
    ]
    wrong = " and ".join(f"{share} % ({name})" for name, share in paper.PARITY_WRONG.items())
    notes = (
        "G, N, A: impostors share gender, nationality, age with the genuine person; GNA: all three.",
        "The paper's figures for N and GNA very probably use wrong labels: its code takes every even row for a "
        f"genuine trial, the released lists for N and GNA do not alternate, and {wrong} of those labels are wrong, "
        "which alone pulls any AUC towards 50. Ours are read from the list's column.",
    )
    title = "Table II. AUC by what impostors share with the genuine person"
    return PaperTable("table2", title, notes, (*cells, *floors))


def _table_3() -> PaperTable:
    rows = [(name, pair, _OTHERS[name], True) for name, pair in paper.TABLE_3_OTHERS.items()]
    rows += [(sbnet_row(loss), paper.TABLE_3[loss], wanted_for(loss, "single"), False) for loss in paper.LOSSES]
    rows += [(name, pair, _OTHERS[name], True) for name, pair in paper.TABLE_3_LATER.items()]
    rows += [(name, (None, None), wanted, True) for name, wanted in _NEWER.items()]
    cells = [
        cell
        for name, pair, wanted, any_recipe in rows
        for cell in (
            Cell(name, "Random", _rates(pair), wanted, any_recipe=any_recipe),
            Cell(name, "Same gender", {"auc": None}, wanted, _SAME_GENDER, any_recipe=any_recipe),
        )
    ]
    floors = [_floor("Random"), _floor("Same gender", _SAME_GENDER, ("auc",))]
    notes = (
        "Published: as printed, on VoxCeleb1's unseen-unheard trials, each with its own encoders. On these embeddings: "
        "the same method trained and tested here, on frozen vectors of one pair of extractors, one list of pairs and "
        "one of trials. The two columns are not comparable; the rows of the second are.",
        "Heads on the same vectors lie close together. Which differences are real: table below.",
        FLOORS,
    )
    return PaperTable("table3", "Table III. Beside other methods", notes, (*cells, *floors), beside=True)


def sbnet_row(loss: str) -> str:
    """The row of Table III for a loss of the paper."""
    return f"SBNet, {paper.LOSSES[loss]}"


def _table_4() -> PaperTable:
    cells = [
        Cell(order, paper.LOSSES[loss], _rates(pair), {**_SINGLE, "loss": loss, "order": key})
        for key, order in paper.ORDERS.items()
        for loss, pair in paper.TABLE_4[key].items()
    ]
    floors = [_floor(name) for name in paper.LOSSES.values()]
    notes = (
        "He: a half of the epoch on one modality, then a half on the other (F faces, V voices). VFVF, FVFV: sample "
        "by sample in turn. Random: all samples mixed.",
    )
    return PaperTable("table4", "Table IV. Order of the modalities within an epoch", notes, (*cells, *floors))


def _table_5() -> PaperTable:
    cells = [
        Cell(f"k = {k}", "FOP", _rates(pair), {**_SINGLE, "loss": "fop", "order": "alternate", "alternate_epochs": k})
        for k, pair in paper.TABLE_5.items()
    ]
    notes = ("k epochs on one modality, then k on the other, and so on.",)
    return PaperTable("table5", "Table V. Whole epochs on one modality in turn", notes, (*cells, _floor("FOP")))


def _floor(
    column: str, path: tuple[str, ...] = _CROSS_MODAL, measures: tuple[str, ...] = ("eer", "auc"), row: str = _FLOOR
) -> Cell:
    """What needs no training in a column whose figures are at `path`: raw vectors within one modality, CCA across."""
    task = VERIFICATION_TASKS[path[1]]
    wanted: Settings = _CCA if task.is_cross_modal else {"method": "raw", "modality": task.left}
    return Cell(row, column, dict.fromkeys(measures), wanted, path, floor=True, any_recipe=True)


def _named(criterion: str) -> str:
    return criterion if criterion != RANDOM.name else "Random"


def _rates(pair: paper.Pair) -> dict[str, float | None]:
    return {"eer": pair[0], "auc": pair[1]}
