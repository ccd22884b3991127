"""Many pairs at once: a table of media, and the same table with what a run says of each row.

A row names two sides, in columns `face` and `voice`, or `face` and `other_face`, or `voice` and `other_voice`: paths
below the media folder. A column `face_frame` (or `other_face_frame`) takes one frame of a video instead of the mean of
its frames: the trials of an evaluation are of single frames, and have the same scores here.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import MediaError, ScoreError
from pipeline.extraction.item_cache import Arrays
from pipeline.files import atomic_path
from pipeline.scoring.scorer import Matrix, probability_of
from pipeline.scoring.vectors import Medium, mean_vector, medium_of

if TYPE_CHECKING:
    from pipeline.scoring.scorer import Scorer

SIDES = (("voice", "face"), ("face", "other_face"), ("voice", "other_voice"))  # columns that make a pair
_FRAME = "_frame"
_ADDED = ("similarity", "log_likelihood_ratio", "probability", "same", "threshold", "reason")

logger = logging.getLogger(__name__)


def read_pairs(path: Path) -> tuple[pd.DataFrame, tuple[str, str]]:
    """A table of pairs, all as text, and the two columns of its sides; raises ScoreError for one without pairs."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ScoreError(f"{path} cannot be read as a CSV table of pairs ({error})") from error
    columns = _columns_of(table, path)
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first column for labels: all others have moved
        raise ScoreError(f"{path}: its rows have more fields than its header has names")
    if table.empty:
        raise ScoreError(f"{path} holds no pair")
    if clash := [name for name in table.columns if name in _ADDED or name.startswith("score_")]:
        raise ScoreError(f"{path}: column {clash[0]!r} is what the scores are called: rename it")
    return table, columns


def _columns_of(table: pd.DataFrame, path: Path) -> tuple[str, str]:
    named = [side for side in ("voice", "other_voice", "face", "other_face") if side in table.columns]
    found = [sides for sides in SIDES if set(sides) == set(named)]
    if not found:
        pairs = ", or ".join(" and ".join(sides) for sides in SIDES)
        raise ScoreError(f"{path} must have the columns {pairs}; it has {', '.join(table.columns)}")
    return found[0]


def score_pairs(
    scorer: "Scorer",
    table: pd.DataFrame,
    columns: tuple[str, str],
    media: Path,
    threshold: str | float,
    prior: float | None = None,
) -> pd.DataFrame:
    """The table (N rows) with what the run says of each: similarity, score_0 to score_S-1, log_likelihood_ratio,
    probability, same, threshold and, where it could not be scored, the reason; every row is kept, in its order.

    `columns` are those of the two sides, `media` is the folder that their paths are below; threshold and prior are as
    in Scorer.verify.
    """
    left, right = (column.removeprefix("other_") for column in columns)
    scorer.refuse_pairs(left, right)
    prior = scorer.checked_prior(prior)
    limit, _, lacking = scorer.threshold(left, right, threshold)
    sides = [_vectors(scorer, table, column, media) for column in columns]
    reasons = ["; ".join(one for one in row if isinstance(one, str)) for row in zip(*sides, strict=True)]
    rows = np.flatnonzero([not reason for reason in reasons])
    scores = np.empty((len(scorer.model.calibration(left, right)), 0), np.float32)  # (S, 0)
    if len(rows):
        probes, others = (np.stack([side[row] for row in rows]) for side in sides)
        scores = scorer.pair_scores(left, probes, right, others)
    meaning = scorer.meaning(left, right, scores)
    if missing := meaning.reason or lacking:
        logger.warning("pairs: no probability or no threshold: %s", missing)
    similarity = scores.mean(axis=0)
    added: dict[str, NDArray[np.generic] | None] = {"similarity": similarity}
    added |= {f"score_{network}": own for network, own in enumerate(scores)}
    ratios = meaning.log_likelihood_ratio
    added["log_likelihood_ratio"] = ratios
    added["probability"] = None if ratios is None else probability_of(ratios, prior)
    added["same"] = None if limit is None else np.asarray(similarity >= limit, dtype=object)
    result = table.assign(**{name: _spread(values, rows, len(table)) for name, values in added.items()})
    return result.assign(threshold=np.nan if limit is None else limit, reason=reasons)


def write_scores(path: Path, scores: pd.DataFrame) -> None:
    """Write what score_pairs returned as CSV, whole or not at all; float32 values read back as they were."""
    with atomic_path(path) as temporary:
        scores.to_csv(temporary, index=False, lineterminator="\n")


def _spread(values: NDArray[np.generic] | None, rows: NDArray[np.intp], count: int) -> pd.Series:
    """Values (K,) of rows (K,) as a column of `count`, empty elsewhere."""
    return pd.Series(values, index=rows, dtype=None if values is not None else object).reindex(range(count))


def _vectors(scorer: "Scorer", table: pd.DataFrame, column: str, media: Path) -> list[Matrix | str]:
    """The vector (D,) of each row's medium in a column, or the reason why there is none."""
    modality = column.removeprefix("other_")
    found: dict[str, Medium] = {}
    reasons: dict[str, str] = {}
    for name in dict.fromkeys(table[column]):
        try:
            found[name] = medium_of(media / name, name)
        except MediaError as error:
            reasons[name] = str(error)
    extraction = scorer.vectors.extract(modality, list(found.values()))
    reasons |= {skip.item: f"{skip.item}: {skip.reason}" for skip in extraction.skips}
    frames = table[f"{column}{_FRAME}"] if f"{column}{_FRAME}" in table else [""] * len(table)
    return [
        reasons[name] if name in reasons else _vector(name, extraction.results[name], frame)
        for name, frame in zip(table[column], frames, strict=True)
    ]


def _vector(name: str, result: Arrays, frame: str) -> Matrix | str:
    """One medium's mean vector, or that of one frame."""
    matrix = result["embeddings"]
    if not frame:
        try:
            return mean_vector([matrix])
        except MediaError as error:
            return f"{name}: {error}"
    at = np.flatnonzero(result["frame"].astype(str) == frame.strip())
    if not len(at):
        shown = ", ".join(str(number) for number in result["frame"])
        return f"{name}: frame {frame} is not among those with a face that are sampled ({shown})"
    return np.asarray(matrix[at[0]])
