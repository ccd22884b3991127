"""Write what was measured, each file whole or not at all, the same bytes for the same figures."""

import json
from pathlib import Path

from pipeline.evaluation.evaluate import Evaluation
from pipeline.evaluation.tree import Group
from pipeline.files import atomic_path, write_text
from pipeline.protocol.vocabulary import RANDOM, judged_on

SUMMARY = "summary.json"
METRICS, SCORES, ROC, DET, MATCHING = "metrics.json", "scores.parquet", "roc.csv", "det.csv", "matching.csv"


def headline(metrics: Group, modality: str) -> Group:
    """The few figures to compare runs by: of the random list that a run of this modality is judged on first."""
    group: object = metrics
    for key in ("verification", judged_on(modality).name, RANDOM.name):
        group = group.get(key, {}) if isinstance(group, dict) else {}
    wanted = ("eer", "eer_std", "auc", "auc_std", "min_dcf", "identities")
    return {key: group[key] for key in wanted if key in group} if isinstance(group, dict) else {}


def described(metrics: Group, modality: str) -> str:
    """The same as one line."""
    told = headline(metrics, modality)
    if "eer" not in told:
        return "no rates on a random list of what it was trained on"
    deviations = [f" ± {told[key]:.1f}" if key in told else "" for key in ("eer_std", "auc_std")]
    rates = f"EER {told['eer']:.1f}{deviations[0]} %, AUC {told['auc']:.1f}{deviations[1]} %"
    return f"{rates} on {told['identities']} people" if "identities" in told else f"{rates}, on people unknown"


def write_evaluation(folder: Path, evaluation: Evaluation, selection: Group, modality: str = "both") -> None:
    """Write metrics.json (with how the models were chosen under `selection`), its headline for models of `modality` as
    summary.json, scores.parquet and the three curves.
    """
    summary = headline(evaluation.metrics, modality)
    write_text(folder / SUMMARY, json.dumps(summary, indent=2, allow_nan=False) + "\n")
    metrics = {**evaluation.metrics, "selection": selection}
    write_text(folder / METRICS, json.dumps(metrics, indent=2, sort_keys=True, allow_nan=False) + "\n")
    with atomic_path(folder / SCORES) as temporary:
        evaluation.scores.to_parquet(temporary, index=False)
    for name, table in ((ROC, evaluation.roc), (DET, evaluation.det), (MATCHING, evaluation.matching)):
        write_text(folder / name, table.to_csv(index=False, lineterminator="\n"))
