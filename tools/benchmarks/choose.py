"""Which run, and which learning rate, is best on people that no test list names: `python -m tools.benchmarks.choose`.

One validation list of a small corpus is too noisy to choose by. So the people who are not tested, those of training and
validation, are divided into folds of equal shares of women and men. Each fold in turn stands in the place of the test
people, the next one in that of the validation people, and the others train, with pairs and lists as the protocol makes
them. Figures are means over all rotations and seeds; test people are in none of them.

    python -m tools.benchmarks.choose --runs pins multi_view --rates 1e-3 2e-3 5e-3

Cllr and its minimum are of all rotations' trials together, each with the log-likelihood ratios of its own network's
calibration: pooled over so many people, the minimum is hardly fitted to chance any more, as that of one list is
(docs/calibration.md).
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np
import pandas as pd
import torch

from pipeline.config import load_params
from pipeline.errors import ConfigError
from pipeline.evaluation import evaluate, lists_of
from pipeline.metrics import cllr, min_cllr
from pipeline.protocol import ProtocolTables, read_protocol
from pipeline.protocol.assemble import Splits, assemble
from pipeline.protocol.corpus import Corpus, Flags, read_corpus
from pipeline.protocol.galleries import matching_list
from pipeline.protocol.pairs import training_pairs
from pipeline.protocol.rng import rank_key
from pipeline.protocol.splits import held_out_clips
from pipeline.protocol.trials import unseen_condition, verification_list
from pipeline.protocol.vocabulary import CROSS_MODAL, F2V, RANDOM, V2F, criterion_named
from pipeline.resolved import resolved
from pipeline.scoring.model import Model
from pipeline.settings import EvaluateSettings, ProtocolSettings, RunSettings
from pipeline.store import Store, read_store
from pipeline.training import train_run, training_lists
from stages.common import PARAMS, Artifacts, run_command

SAME_GENDER = criterion_named("G")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Figures:
    """Of one run at one learning rate in one rotation, percent, mean over its seeds; NaN where it has no such score."""

    eer: float
    auc: float
    eer_within_gender: float
    auc_within_gender: float
    matching: float  # accuracy 1:2, mean of both directions
    ratios: Sequence[float] = ()  # LLRs of the random list's trials; none where the model has no map to them
    labels: Sequence[int] = ()  # of these trials

    @property
    def error(self) -> float:
        """What is chosen by: EER, or 100 minus the accuracy of a method that only matches."""
        return 100.0 - self.matching if np.isnan(self.eer) else self.eer


def folds_of(people: pd.DataFrame, chosen: Flags, count: int, draw: int) -> np.ndarray:
    """Fold (P,) of the chosen people (P,), by a hash of their names and of the draw; -1 for the others."""
    fold = np.full(len(people), -1)
    names, gender = people["identity"].to_numpy(dtype=object), people["gender"].fillna("unknown").to_numpy(dtype=object)
    rank = np.argsort(np.argsort([rank_key(draw, "fold", name) for name in names]))
    dealt = sorted(np.flatnonzero(chosen), key=lambda person: (gender[person], rank[person]))
    fold[dealt] = np.arange(len(dealt)) % count
    return fold


def rotations(
    corpus: Corpus, tested: Flags, settings: ProtocolSettings, folds: int, draws: int
) -> Iterator[ProtocolTables]:
    """A protocol of each rotation, of the people of a corpus who have both modalities and are not `tested` (P,).

    Raises ConfigError for fewer than three folds, or folds of fewer than two people.
    """
    chosen = corpus.paired & ~tested
    if folds < 3 or chosen.sum() < 2 * folds:
        raise ConfigError(f"--folds {folds}: at least 3, of two people each; {chosen.sum()} people are not tested")
    for draw in range(draws):
        fold = folds_of(corpus.people, chosen, folds, draw)
        for measured in range(folds):
            split = np.full(len(fold), "train", dtype=object)
            split[fold == measured], split[fold == (measured + 1) % folds] = "test", "validation"
            split[~chosen] = "nowhere"
            yield _protocol(corpus, split, settings.model_copy(update={"seed": settings.seed + draw}))


def _protocol(corpus: Corpus, split: np.ndarray, settings: ProtocolSettings) -> ProtocolTables:
    training = np.asarray(split == "train")
    held_out = held_out_clips(corpus, training, settings)
    validation, test = (unseen_condition(corpus, name, split) for name in ("validation", "test"))
    lists = [verification_list(corpus, validation, CROSS_MODAL, RANDOM, settings)]
    lists += [verification_list(corpus, test, CROSS_MODAL, criterion, settings) for criterion in (RANDOM, SAME_GENDER)]
    lists += [matching_list(corpus, test, task, settings) for task in (F2V, V2F)]
    pairs = training_pairs(corpus, training, held_out, settings)
    return assemble(corpus, Splits(split, training, held_out), lists, pairs, settings)


def measured(
    run: RunSettings, tables: ProtocolTables, faces: Store, voices: Store, settings: EvaluateSettings
) -> Figures:
    """Train in this process and measure on the test lists of the tables; nothing of it stays on disk."""
    lists = training_lists(tables, run, len(faces.matrix), len(voices.matrix))
    model = train_run(run, lists, faces.matrix, voices.matrix, torch.device("cpu")).model
    evaluation = evaluate(model, settings, lists_of(tables, faces, voices), faces, voices)
    metrics = evaluation.metrics

    def figure(*path: str) -> float:
        group: object = metrics
        for key in path:
            group = group.get(key, {}) if isinstance(group, dict) else {}
        return float(group) if isinstance(group, int | float) else float("nan")

    lists_named = [("verification", CROSS_MODAL.name, criterion.name) for criterion in (RANDOM, SAME_GENDER)]
    eer, auc, eer_within, auc_within = (figure(*name, rate) for name in lists_named for rate in ("eer", "auc"))
    accuracy = mean(figure("matching", task.name, "2", "accuracy") for task in (F2V, V2F))
    ratios, labels = _ratios(model, evaluation.scores)
    return Figures(eer, auc, eer_within, auc_within, accuracy, ratios, labels)


def _ratios(model: Model, scores: pd.DataFrame) -> tuple[list[float], list[int]]:
    """LLRs of the random list's cross-modal trials by each calibrated judge of a model, and their labels."""
    random = scores[(scores["task"] == CROSS_MODAL.name) & (scores["criterion"] == RANDOM.name)]
    ratios: list[float] = []
    labels: list[int] = []
    for judge, one in enumerate(model.calibration(*CROSS_MODAL.sides)):
        if not one.reason:
            ratios += one.log_likelihood_ratio(random[f"score_{judge}"]).tolist()
            labels += random["label"].tolist()
    return ratios, labels


def line(name: str, rate: float, found: Sequence[Figures]) -> str:
    """A row of the table: means over rotations, and the standard error of the error that is chosen by."""
    error = [one.error for one in found]
    spread = stdev(error) / len(error) ** 0.5 if len(error) > 1 else float("nan")
    columns = ("eer", "auc", "eer_within_gender", "auc_within_gender", "matching")
    values = " | ".join(f"{mean(getattr(one, column) for one in found):.2f}" for column in columns)
    return f"| {name} | {rate:g} | {mean(error):.2f} ± {spread:.2f} | {values} | {_pooled(found)} |\n"


def _pooled(found: Sequence[Figures]) -> str:
    """Cllr and minimum Cllr of the trials of all rotations; a dash each without calibrated ones."""
    ratios = [value for one in found for value in one.ratios]
    labels = [value for one in found for value in one.labels]
    if not ratios:
        return "- | -"
    return f"{cllr(ratios, labels):.3f} | {min_cllr(ratios, labels):.3f}"


def main() -> None:
    """Print a row for each run and learning rate, and then the rate of lowest error of each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", required=True, help="runs of experiments: in params.yaml")
    parser.add_argument("--rates", nargs="+", type=float, default=[], help="learning rates; without: each run's own")
    parser.add_argument("--folds", type=int, default=6)
    parser.add_argument("--draws", type=int, default=2, help="divisions into folds")
    parser.add_argument("--seeds", type=int, default=1, help="networks a rotation, of the run's seeds the first")
    arguments = parser.parse_args()
    params, artifacts = load_params(PARAMS), Artifacts()
    faces, voices = read_store(artifacts.faces), read_store(artifacts.voices)
    corpus = read_corpus(pd.read_parquet(artifacts.manifest), faces.index, voices.index)
    identities = read_protocol(artifacts.protocol).identities
    tested = corpus.people["identity"].isin(identities.loc[identities["split"] == "test", "identity"]).to_numpy()
    tables = list(rotations(corpus, tested, params.protocol, arguments.folds, arguments.draws))
    quick = params.evaluate.model_copy(update={"bootstrap": 0, "matching_sizes": [2], "retrieval_rows": 2})
    sys.stdout.write(
        "| run | learning rate | error | EER | AUC | EER, same gender | AUC, same gender | 1:2 | Cllr | minimum |\n"
    )
    sys.stdout.write("|---|---|---|---|---|---|---|---|---|---|\n")
    best = []
    settings = {name: resolved(params, name) for name in arguments.runs}
    if told := [name for name, run in settings.items() if run.selection == "test"]:
        raise ConfigError(f"{', '.join(told)}: chosen on the test list, here the people measured on: selection: test")
    for name, run in settings.items():
        run = run.model_copy(update={"seeds": run.seeds[: arguments.seeds]})
        errors: dict[float, float] = {}
        for rate in arguments.rates or [run.learning_rate]:
            at_rate = run.model_copy(update={"learning_rate": rate})
            found = [measured(at_rate, one, faces, voices, quick) for one in tables]
            errors[rate] = mean(one.error for one in found)
            sys.stdout.write(line(name, rate, found))
            sys.stdout.flush()
        best.append(f"{name}: {min(errors, key=lambda rate: errors[rate]):g}")
    sys.stdout.write(f"\nlowest error: {', '.join(best)}\n")


if __name__ == "__main__":
    for quiet in ("pipeline", "tqdm"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    run_command(main)
