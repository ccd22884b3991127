"""Face-voice association across languages, as MAV-Celeb's challenges ask it: figures by language, and submissions.

A run trains on one language and is scored in each: heard, the one it trained on, and unheard. A submission holds a file
for each language and track with lines `key distance`, in the order of the released list; LOWER means the same person.
The organisers' scorer negates what it reads before it takes the EER where the interpolated ROC meets its diagonal
(mavceleb/mavceleb_baseline test.py; FLAG 2027's evaluation plan says the opposite, and a team that followed it scored
57.8 instead of 42.2).
"""

import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ConfigError, ProtocolError, ScoreError
from pipeline.evaluation.figures import Metrics, nest, verification_figures
from pipeline.evaluation.lists import Trained, TrialScorer
from pipeline.files import atomic_path
from pipeline.metrics import eer_of, roc_curve
from pipeline.protocol.vocabulary import CROSS_MODAL, HEARD, UNHEARD
from pipeline.scoring.similarity import Matrix
from pipeline.settings import ALL_LANGUAGES, EvaluateSettings
from pipeline.store import Store

# The names of a submission's files by version. Those of v1 to v3 go by the language that the run heard, those of v4 by
# the one that it is tested in.
FILE_NAMES = {"v4": "{track}/sub_score_v4_{test}_{regime}.txt", "": "sub_score_{heard}_{regime}.txt"}
_SHOWN = 5

logger = logging.getLogger(__name__)


def labelled(challenge: pd.DataFrame) -> pd.DataFrame:
    """The trials that can be measured: with a label and both media."""
    there = (challenge[["left_row", "right_row"]] >= 0).all(axis=1)
    return challenge[there & challenge["label"].notna()].astype({"label": "int64"})


def challenge_figures(scorer: TrialScorer, challenge: pd.DataFrame, settings: EvaluateSettings) -> Metrics:
    """Figures of the labelled lists, by what they are (validation, test, released), track and language.

    Intervals are over people, so that released trials, whose people nobody knows, have none. Rates are the exact ones,
    as the organisers' scorer has them, whatever `evaluate.rates` says.
    """
    figures: Metrics = {}
    groups = labelled(challenge).groupby(["origin", "subset", "track", "language"], sort=True, observed=True)
    for (origin, subset, track, language), trials in groups:
        if trials["label"].nunique() < 2:
            logger.warning("challenge list %s of one kind of trial only: no rates", (origin, subset, track, language))
            continue
        scores = scorer.pairs(CROSS_MODAL.sides, trials["left_row"].to_numpy(), trials["right_row"].to_numpy())
        wanted = {"rates": "exact"} | ({} if origin == "own" else {"bootstrap": 0})
        measured = verification_figures(scores, trials, settings.model_copy(update=wanted))
        if origin != "own":
            del measured["identities"]
        nest(figures, [subset if origin == "own" else origin, track, language], measured)
    return figures


@dataclass(frozen=True)
class ScoreFile:
    """One file of a submission."""

    name: str  # within the archive
    language: str  # that it is tested in
    track: str
    regime: str  # heard | unheard
    keys: tuple[str, ...]  # N, in the order of the released list
    distances: NDArray[np.float64]  # (N,), lower for the same person

    @property
    def text(self) -> str:
        """Its lines."""
        return "".join(f"{key} {value:.9g}\n" for key, value in zip(self.keys, self.distances, strict=True))


def score_files(
    model: Trained, heard: str, challenge: pd.DataFrame, version: str, faces: Store, voices: Store, pattern: str = ""
) -> list[ScoreFile]:
    """The files of a run that heard one language: each released list scored by the mean over the run's seeds.

    A trial whose media could not be used gets the median distance of its list, as every key must be there; the
    log has their number and names some. Raises ConfigError for a run that trained on all languages or gives a voice
    and a face no score, ProtocolError where the protocol holds no released list or none in the language heard,
    ScoreError for scores that are not finite.
    """
    released = challenge[challenge["origin"] == "released"]
    if released.empty:
        raise ProtocolError(
            "the protocol holds no released test list: set protocol.source: mavceleb_lists and protocol.lists to the "
            "folder with <Language>_test.txt, then run `dvc repro protocol`"
        )
    languages = sorted(set(released["language"]))
    if model.compares == "galleries" or not all(model.takes(modality) for modality in CROSS_MODAL.sides):
        raise ConfigError("the run's method gives a voice and a face no score of their own: submit another run")
    if heard == ALL_LANGUAGES:
        raise ConfigError(f"a challenge's run trains on one language: give it `language:`, one of {languages}")
    if heard not in languages:
        raise ProtocolError(f"the run trained on {heard!r}, and the released lists are in {languages}")
    files = []
    name = pattern or FILE_NAMES.get(version, FILE_NAMES[""])
    for (track, language), trials in released.groupby(["track", "language"], sort=True, observed=True):
        regime = HEARD if language == heard else UNHEARD
        distances = _distances(model, trials, faces, voices, f"{language}, {track}")
        parts = {"track": track, "test": language, "heard": heard, "regime": regime, "version": version}
        files.append(ScoreFile(_named(name, parts), language, track, regime, tuple(trials["key"]), distances))
    return files


def _named(pattern: str, parts: Mapping[str, str]) -> str:
    try:
        return pattern.format(**parts)
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(f"pattern {pattern!r}: {{{error}}} is none of {', '.join(parts)}") from error


def _distances(model: Trained, trials: pd.DataFrame, faces: Store, voices: Store, where: str) -> NDArray[np.float64]:
    left, right = (trials[f"{side}_row"].to_numpy(np.int64) for side in ("left", "right"))
    there = (left >= 0) & (right >= 0)
    if not there.any():
        raise ProtocolError(f"challenge list {where}: no trial has both its media in the stores")
    scorer = TrialScorer(model, faces, voices, right[there], left[there])
    scores: Matrix = scorer.pairs(CROSS_MODAL.sides, left[there], right[there])
    distances = np.empty(len(trials), dtype=np.float64)
    distances[there] = -scores.astype(np.float64).mean(axis=0)
    if not np.isfinite(distances[there]).all():
        raise ScoreError(f"challenge list {where}: scores that are not finite")
    if not there.all():
        distances[~there] = np.median(distances[there])
        lost = trials["key"].to_numpy(dtype=object)[~there]
        shown = ", ".join(map(str, lost[:_SHOWN]))
        logger.warning("%s: %d trials without media get the median distance, such as %s", where, len(lost), shown)
    return distances


def write_submission(path: Path, files: Sequence[ScoreFile]) -> None:
    """Write the files into one zip, whole or not at all, the same bytes for equal scores.

    Raises ConfigError where two files have one name: two runs heard one language, or the pattern names too little.
    """
    names = [one.name for one in files]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"two files of the submission are called {repeated[0]}: submit one run a language heard, with "
            "a pattern that tells languages and tracks apart"
        )
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(files, key=lambda file: file.name):
            entry = zipfile.ZipInfo(one.name)  # of 1980, whatever the clock says
            entry.external_attr = 0o644 << 16  # unpacked, a file without a mode cannot be read
            archive.writestr(entry, one.text, zipfile.ZIP_DEFLATED)


def absent_cells(files: Sequence[ScoreFile], version: str) -> list[str]:
    """What a whole submission has and this one lacks; v4 has one language heard, the others are trained on each."""
    languages = {one.language for one in files}
    heard = {one.language for one in files if one.regime == HEARD}
    wanted = heard if version == "v4" else languages
    return [f"a run that trains on {language}" for language in sorted(wanted - heard)]


def scored(text: str, truth: Mapping[str, int]) -> float:
    """The EER in percent that the organisers' scorer gives a file of a submission for the truth by key.

    Raises ScoreError for a line that is not `key distance`, and for a key that is absent or not of the truth.
    """
    read: dict[str, float] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split(" ")
        try:
            key, value = fields[0], float(fields[1])
        except (IndexError, ValueError) as error:
            raise ScoreError(f"line {number} is not `key distance`: {line!r}") from error
        if key in read:
            raise ScoreError(f"line {number}: key {key!r} is there twice")
        read[key] = value
    if differing := sorted(set(read) ^ set(truth)):
        raise ScoreError(f"{len(differing)} keys are not both in the file and in the truth, such as {differing[0]!r}")
    distances = np.array([read[key] for key in truth])
    return float(eer_of(roc_curve(-distances, np.array(list(truth.values())))))
