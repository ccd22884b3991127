"""Figures of retrieval: voices look for their faces, and faces for their voices, among all that the trials name."""

import numpy as np
import pandas as pd

from pipeline.evaluation.lists import Rows
from pipeline.evaluation.scoring import Scorer
from pipeline.evaluation.tree import Group, place, spread
from pipeline.metrics import IdentityResamples, Interval, RetrievalRates, mean_interval, retrieval_rates
from pipeline.settings import EvaluateSettings


def retrieval_figures(scorer: Scorer, trials: pd.DataFrame, models: int, settings: EvaluateSettings) -> Group:
    """R@K and mean average precision, `{"v2f": ..., "f2v": ...}`, over the distinct voices and faces of `trials`.

    Each side is thinned evenly to `settings.retrieval_rows`; queries without their person in the gallery do not count.
    Intervals resample the people who are looked for. Empty where no query has its person in the gallery.
    """
    voices, speakers = _side(trials, "left", settings.retrieval_rows)
    faces, shown = _side(trials, "right", settings.retrieval_rows)
    figures: Group = {}
    if not set(speakers) & set(shown):
        return figures
    tables = [scorer.table(("voice", "face"), voices, faces, model) for model in range(models)]
    directions = {
        "v2f": [retrieval_rates(table, speakers, shown) for table in tables],
        "f2v": [retrieval_rates(np.ascontiguousarray(table.T), shown, speakers) for table in tables],
    }
    for name, rates in directions.items():
        place(figures, [name], _figures(rates, settings) | {"gallery": len(faces if name == "v2f" else voices)})
    return figures


def _side(trials: pd.DataFrame, side: str, limit: int) -> tuple[Rows, np.ndarray]:
    """Distinct rows of one side and their people, at most `limit` of them, spread evenly over the store's order."""
    rows, first = np.unique(trials[f"{side}_row"].to_numpy(dtype=np.int64), return_index=True)
    kept = np.unique(np.linspace(0, len(rows) - 1, min(limit, len(rows))).round().astype(np.int64))
    return rows[kept], trials[f"{side}_identity"].to_numpy(dtype=str)[first[kept]]


def _figures(rates: list[RetrievalRates], settings: EvaluateSettings) -> Group:
    people = rates[0].people  # the same for all models
    draws = IdentityResamples(people, settings.bootstrap, settings.seed) if settings.bootstrap else None

    def interval(values: list[np.ndarray]) -> Interval | None:
        return mean_interval(np.stack(values), people, draws, settings.confidence) if draws else None

    figures: Group = {"queries": rates[0].queries}
    for depth in rates[0].recall:
        bounds = interval([model.hits(depth) for model in rates])
        figures |= spread(f"recall_{depth}", [model.recall[depth] for model in rates], bounds)
    bounds = interval([model.precision for model in rates])
    return figures | spread("mean_average_precision", [model.mean_average_precision for model in rates], bounds)
