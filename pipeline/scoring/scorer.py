"""A trained run as a thing to call: is this face the person of this voice? Which of these is? Who in a store?

    scorer = Scorer.load("artifacts/runs/single_fop/model.safetensors")
    scorer.verify(face="ann.jpg", voice=["ann_1.wav", "ann_2.wav"]).probability
    scorer.match(voice="ann_1.wav", faces=["ann.jpg", "ben.jpg"]).candidates[0].medium

A face is an image or a video, a voice a sound or a video with sound. Of several files of one person, and of the frames
of a video, the extractors' vectors are averaged (vectors.mean_vector) before the run sees them. torch and all that
needs it are loaded by `Scorer.load`, not by the import.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CheckpointError, ScoreError
from pipeline.files import sha256_of
from pipeline.scoring.calibration import THRESHOLDS, Calibration

if TYPE_CHECKING:
    import torch

    from pipeline.scoring.fusion import Fusion
    from pipeline.scoring.gallery import Gallery
    from pipeline.scoring.model import Model
    from pipeline.scoring.vectors import MediaVectors, Medium

MediaPath = str | os.PathLike[str]
Media = MediaPath | Sequence[MediaPath]  # of one person
Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

EVEN = 0.5  # prior of a run that names none: as many pairs are genuine as not
OTHER = {"face": "voice", "voice": "face"}
_PAIRS = 8192  # scored at once


@dataclass(frozen=True)
class Side:
    """What was compared: files of one person, in one modality."""

    modality: str  # face | voice
    files: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether two sides show one person."""

    left: Side
    right: Side
    similarity: float  # mean of `scores`; higher: rather one person
    scores: tuple[float, ...]  # S, of the run's networks
    log_likelihood_ratio: float | None  # natural logarithm, of `similarity`; None where there is no calibration of it
    probability: float | None  # of one person, where a share `prior` of pairs is of one
    prior: float
    same: bool | None  # similarity >= threshold; None without one
    threshold: float | None
    threshold_name: str  # eer | far_1 | far_10 | given
    reason: str  # why there is no probability or threshold; else empty


@dataclass(frozen=True)
class Candidate:
    """One that was compared with a probe."""

    rank: int  # from 1
    medium: str
    similarity: float
    log_likelihood_ratio: float | None
    probability: float | None  # of a match: that it is this one, if it is one of them


@dataclass(frozen=True)
class Ranking:
    """Candidates, the most similar first; of equal ones that which was named first."""

    probe: Side
    modality: str  # of the candidates
    candidates: tuple[Candidate, ...]
    reason: str  # why there are no log-likelihood ratios; else empty


@dataclass(frozen=True)
class Meaning:
    """What N similarities mean."""

    log_likelihood_ratio: Floats | None  # (N,)
    reason: str

    def at(self, row: int) -> float | None:
        """The log-likelihood ratio of one of them."""
        return None if self.log_likelihood_ratio is None else float(self.log_likelihood_ratio[row])


class Scorer:
    """A trained run, its extractors and the item cache; extractors are loaded when they are first needed."""

    def __init__(self, path: Path, model: "Model | Fusion", vectors: "MediaVectors") -> None:
        """See `load`."""
        self.path = path
        self.model = model
        self.vectors = vectors

    @classmethod
    def load(cls, path: MediaPath, device: "torch.device | None" = None) -> "Scorer":
        """The run whose model file is `path`, on `device` (by default what SBNET_DEVICE says, see runtime.device).

        Nothing else of the project is read: extractors, weights and options are those that the file names. Raises
        CheckpointError for a file that is absent, damaged or poisoned.
        """
        import pipeline.extraction.decoding  # noqa: F401  # before torch, whose idle threads it lets sleep
        from pipeline.runtime.device import select_device
        from pipeline.scoring.fusion import load_trained
        from pipeline.scoring.vectors import MediaVectors

        file, on = Path(path), device or select_device()
        if not file.is_file():
            raise CheckpointError(f"{file} is no file: give the model.safetensors of a trained run")
        model = load_trained(file, on)
        return cls(file, model, MediaVectors(model.provenance, str(file), on))

    @property
    def run(self) -> str:
        """The run's name: that of the folder the model is in."""
        return self.path.absolute().parent.name  # not resolved: DVC may have made the file a link into its cache

    @property
    def prior(self) -> float:
        """Share of genuine pairs at which the run's scores were calibrated."""
        return float(str(self.model.settings.get("calibration_prior", EVEN)))

    def embed_face(self, face: Media) -> Matrix:
        """What each of the S networks makes of one person's face, (S, E): unit vectors of most methods.

        Raises MediaError for a file without a face, ScoreError for a method that scores pairs and has no embeddings.
        """
        return self._embed("face", face)

    def embed_voice(self, voice: Media) -> Matrix:
        """The same of one person's voice, (S, E); raises MediaError for a file that is silent."""
        return self._embed("voice", voice)

    def extract(self, modality: str, file: MediaPath) -> Matrix:
        """The extractor's own unit vectors (n, D) of one file, a row a frame with a face; of a voice there is one.

        They are, byte for byte, the rows that the pipeline's store has of the file.
        """
        return self._extract(modality, _media(_names(file)))[0]

    def verify(
        self,
        *,
        face: Media | None = None,
        voice: Media | None = None,
        other_face: Media | None = None,
        other_voice: Media | None = None,
        threshold: str | float = "eer",
        prior: float | None = None,
    ) -> Verdict:
        """Whether a face and a voice, two faces or two voices are of one person.

        `threshold` is a similarity, or the name of one that was found on validation people: eer (the equal error
        rate), far_1 and far_10 (1 and 10 % of impostors accepted). `prior` is the share of pairs that are of one
        person, by default the one that the run was calibrated at. Raises ScoreError for a method whose scores compare
        the candidates of one probe only.
        """
        prior = self.checked_prior(prior)
        (left, first), (right, second) = self._sides(face, voice, other_face, other_voice)
        self.refuse_pairs(left, right)
        probe, other = (self._one(modality, media)[None] for modality, media in ((left, first), (right, second)))
        scores = self.pair_scores(left, probe, right, other)  # (S, 1)
        meaning = self.meaning(left, right, scores)
        ratio, similarity = meaning.at(0), float(scores.mean(axis=0)[0])
        limit, name, lacking = self.threshold(left, right, threshold)
        return Verdict(
            Side(left, _names(first)),
            Side(right, _names(second)),
            similarity,
            tuple(float(score) for score in scores[:, 0]),
            ratio,
            None if ratio is None else float(probability_of(ratio, prior)),
            prior,
            None if limit is None else similarity >= limit,
            limit,
            name,
            meaning.reason or lacking,
        )

    def match(
        self,
        *,
        face: Media | None = None,
        voice: Media | None = None,
        faces: Sequence[MediaPath] | None = None,
        voices: Sequence[MediaPath] | None = None,
    ) -> Ranking:
        """Which of several faces, or voices, is the person of a face or a voice; each candidate is one file."""
        left, probe = _only({"face": face, "voice": voice}, "match takes a face or a voice, and one of them only")
        right, files = _only({"face": faces, "voice": voices}, "match takes faces or voices, and one of them only")
        names = _names(files)
        if len(names) < 2:
            raise ScoreError("match chooses among two candidates at least")
        media = _media(names)
        known: dict[str, str] = {}
        for one in media:
            if one.digest in known:
                other = known[one.digest]
                what = f"{other} and {one.item} are one file" if other != one.item else f"{other} is named twice"
                raise ScoreError(f"{what} among the candidates: each would have half the probability")
            known[one.digest] = one.item
        self._refuse_modalities(left, right)
        vector = self._one(left, probe)
        found = self._extract(right, media)
        candidates = np.stack([self._mean([matrix]) for matrix in found])
        scores = self._scores(left, vector[None], right, candidates[None])[:, 0]  # (S, G)
        meaning = self.meaning(left, right, scores)
        ratios = meaning.log_likelihood_ratio
        shares = None if ratios is None else np.exp(ratios - np.logaddexp.reduce(ratios))
        return self._ranking(Side(left, _names(probe)), right, names, scores.mean(axis=0), meaning, shares)

    def retrieve(
        self,
        store: MediaPath,
        *,
        face: Media | None = None,
        voice: Media | None = None,
        top: int,
        among: str | None = None,
    ) -> Ranking:
        """The `top` most similar of a store that `index` wrote; among its faces for a voice, its voices for a face.

        `among` face | voice chooses otherwise. Raises CheckpointError for a store of another model, StoreError for one
        that is absent or damaged.
        """
        left, probe = _only({"face": face, "voice": voice}, "retrieve takes a face or a voice, and one of them only")
        right = among or OTHER[left]
        self.refuse_without_embeddings("retrieve from a store")
        self._refuse_modalities(left, right)
        gallery = self._gallery(Path(store), right)
        embeddings = self._embed(left, probe)  # (S, E)
        rows, similarities = gallery.search(joined(embeddings[:, None])[0], top)
        networks, width = embeddings.shape
        found = gallery.vectors[rows].reshape(len(rows), networks, width) * np.sqrt(np.float32(networks))
        scores = -np.square(found - embeddings).sum(axis=-1, dtype=np.float32).T  # (S, K)
        names = tuple(gallery.index["item"].to_numpy(object)[rows])
        meaning = self.meaning(left, right, scores)
        return self._ranking(Side(left, _names(probe)), right, names, similarities, meaning, None)

    def index(self, folder: MediaPath, store: MediaPath) -> Mapping[str, int]:
        """Index the faces and voices of a folder's media for `retrieve`; how many there are, by modality, and skipped.

        What a medium lacks, or why it cannot be used, is in the store's skipped.csv. See pipeline.scoring.index.
        """
        from pipeline.scoring.index import index_folder

        return index_folder(self, Path(folder), Path(store))

    def pair_scores(self, left: str, probes: Matrix, right: str, others: Matrix) -> Matrix:
        """Scores (S, N) of extractors' vectors (N, D) of modality `left` with others (N, D) of modality `right`."""
        parts = [
            self._scores(left, probes[at : at + _PAIRS], right, others[at : at + _PAIRS, None])[:, :, 0]
            for at in range(0, len(probes), _PAIRS)
        ]
        return np.concatenate(parts, axis=1)

    def meaning(self, left: str, right: str, scores: Matrix) -> Meaning:
        """What scores (S, N) mean, by their mean, which is the similarity, and its own calibration."""
        calibration = self.model.mean_calibration(left, right)
        if calibration.reason:
            return Meaning(None, calibration.reason)
        return Meaning(calibration.log_likelihood_ratio(scores.mean(axis=0)), "")

    def threshold(self, left: str, right: str, threshold: str | float) -> tuple[float | None, str, str]:
        """A threshold of the mean of the S scores, its name, and why there is none of that name."""
        if not isinstance(threshold, str):
            if not np.isfinite(threshold):
                raise ScoreError(f"threshold {threshold}: give a finite similarity")
            return float(threshold), "given", ""
        if threshold not in THRESHOLDS:
            raise ScoreError(f"threshold {threshold!r}: give one of {', '.join(THRESHOLDS)}, or a number")
        calibration = self.model.mean_calibration(left, right)
        if threshold not in calibration.thresholds:
            return None, threshold, calibration.reason or f"the model holds no threshold {threshold}"
        return calibration.thresholds[threshold], threshold, ""

    def checked_prior(self, prior: float | None) -> float:
        """A prior of genuine pairs, by default the run's; raises ScoreError for one that is not within (0, 1)."""
        own = self.prior if prior is None else prior
        if not 0.0 < own < 1.0:
            raise ScoreError(f"prior {own} of a genuine pair must be above 0 and below 1")
        return own

    def refuse_without_embeddings(self, what: str) -> None:
        """Raise ScoreError for a method without embeddings."""
        if self.model.compares != "embeddings":
            raise ScoreError(
                f"method {self.model.settings['method']} scores {self.model.compares} and has no embeddings: it cannot "
                f"{what}; use match{' or verify' if self.model.compares == 'pairs' else ''}"
            )

    def refuse_pairs(self, left: str, right: str) -> None:
        """Raise ScoreError if the run has no score of a pair of these modalities."""
        if self.model.compares == "galleries":
            raise ScoreError(
                f"method {self.model.settings['method']} scores the candidates of one probe against each other and no "
                "pairs: use match"
            )
        self._refuse_modalities(left, right)

    def _refuse_modalities(self, *modalities: str) -> None:
        for modality in modalities:
            if not self.model.takes(modality):
                raise ScoreError(f"run {self.run} was trained on {OTHER[modality]}s and takes no {modality}s")

    def _sides(
        self, face: Media | None, voice: Media | None, other_face: Media | None, other_voice: Media | None
    ) -> tuple[tuple[str, Media], tuple[str, Media]]:
        """What is compared with what, in the order of the trials of an evaluation: voice, then face."""
        given = [
            (modality, media)
            for modality, media in (
                ("voice", voice),
                ("voice", other_voice),
                ("face", face),
                ("face", other_face),
            )
            if media is not None
        ]
        alone = (other_face is not None and face is None) or (other_voice is not None and voice is None)
        if len(given) != 2 or alone:
            raise ScoreError("verify takes face and voice, face and other_face, or voice and other_voice")
        return given[0], given[1]

    def _embed(self, modality: str, media: Media) -> Matrix:
        self.refuse_without_embeddings("embed")
        self._refuse_modalities(modality)
        return self.model.embed(modality, self._one(modality, media)[None])[:, 0]

    def _one(self, modality: str, media: Media) -> Matrix:
        """The vector (D,) that stands for one person's media."""
        distinct = {one.digest: one for one in _media(_names(media))}  # a file counts once, however it is named
        return self._mean(self._extract(modality, list(distinct.values())))

    def _mean(self, vectors: Sequence[Matrix]) -> Matrix:
        from pipeline.scoring.vectors import mean_vector

        return mean_vector(vectors)

    def _extract(self, modality: str, media: Sequence["Medium"]) -> list[Matrix]:
        """The vectors (n, D) of each medium; raises MediaError, naming all, for media that have none."""
        from pipeline.scoring.vectors import refuse_skips

        extraction = self.vectors.extract(modality, media)
        refuse_skips(extraction.skips)
        return [extraction.results[one.item]["embeddings"] for one in media]

    def _scores(self, left: str, probes: Matrix, right: str, candidates: Matrix) -> Matrix:
        """Scores (S, P, G) of probes (P, D) with candidates (P, G, D) of their own; raises ScoreError for NaN."""
        scores = self.model.score(left, probes, right, candidates)
        if not np.isfinite(scores).all():
            raise ScoreError(f"run {self.run} gives scores that are not finite: train it again")
        return scores

    def _ranking(
        self,
        probe: Side,
        modality: str,
        names: Sequence[str],
        similarities: NDArray[np.float32],
        meaning: Meaning,
        shares: Floats | None,
    ) -> Ranking:
        order = np.argsort(-similarities, kind="stable")
        candidates = tuple(
            Candidate(
                rank,
                names[row],
                float(similarities[row]),
                meaning.at(row),
                None if shares is None else float(shares[row]),
            )
            for rank, row in enumerate(order.tolist(), start=1)
        )
        return Ranking(probe, modality, candidates, meaning.reason)

    def _gallery(self, store: Path, modality: str) -> "Gallery":
        """Raises CheckpointError for a store of another model than this one."""
        from pipeline.scoring.gallery import read_gallery

        gallery, own = read_gallery(store, modality), self.described()
        if gallery.model["model"] != own["model"]:
            raise CheckpointError(
                f"{store} was indexed by run {gallery.model['run']} (model {str(gallery.model['model'])[:12]}), not by "
                f"{self.path} (model {str(own['model'])[:12]}): index the folder again with this one"
            )
        return gallery

    def described(self) -> dict[str, object]:
        """What a store says of the run that filled it."""
        return {"run": self.run, "model": sha256_of(self.path)}


def joined(embeddings: Matrix) -> Matrix:
    """Embeddings (S, N, E) of S networks side by side, over the root of S, (N, S * E).

    Minus the squared distance of two such vectors is the mean of the networks' scores.
    """
    together: Matrix = np.concatenate(list(embeddings), axis=1) / np.sqrt(np.float32(len(embeddings)))
    return together


def probability_of(log_likelihood_ratio: float | Floats, prior: float) -> Floats:
    """Probability of one person where a share `prior` of pairs is of one; raises ScoreError for an impossible one."""
    return Calibration(slope=1.0, offset=0.0).probability(log_likelihood_ratio, prior)  # it is its own score


def _names(media: Media) -> tuple[str, ...]:
    """Paths of one person's files, as text; raises ScoreError where there is none."""
    files = [media] if isinstance(media, str | os.PathLike) else list(media)
    if not files:
        raise ScoreError("there is no file to score")
    return tuple(os.fspath(file) for file in files)


def _media(names: Sequence[str]) -> list["Medium"]:
    """The files, whose bytes are read; raises MediaError for one that is absent, no file or closed."""
    from pipeline.scoring.vectors import medium_of

    return [medium_of(Path(name), name) for name in names]


def _only(given: Mapping[str, Media | None], otherwise: str) -> tuple[str, Media]:
    found = [(modality, media) for modality, media in given.items() if media is not None]
    if len(found) != 1:
        raise ScoreError(otherwise)
    return found[0]
