"""Write what was measured, each file whole or not at all, the same bytes for the same figures."""

import json
from pathlib import Path

from pipeline.evaluation.evaluate import Evaluation
from pipeline.evaluation.tree import Group
from pipeline.files import atomic_path, write_text

METRICS, SCORES, ROC, DET, MATCHING = "metrics.json", "scores.parquet", "roc.csv", "det.csv", "matching.csv"


def write_evaluation(folder: Path, evaluation: Evaluation, selection: Group) -> None:
    """Write metrics.json (with how the models were chosen under `selection`), scores.parquet and the three curves."""
    metrics = {**evaluation.metrics, "selection": selection}
    write_text(folder / METRICS, json.dumps(metrics, indent=2, sort_keys=True, allow_nan=False) + "\n")
    with atomic_path(folder / SCORES) as temporary:
        evaluation.scores.to_parquet(temporary, index=False)
    for name, table in ((ROC, evaluation.roc), (DET, evaluation.det), (MATCHING, evaluation.matching)):
        write_text(folder / name, table.to_csv(index=False, lineterminator="\n"))
