"""Several trained runs that score as one: each by the rank that its score would have among validation trials.

Scores of unlike methods have unlike scales; ranks have one. Ranked among the trials of its own test list, a trial's
score would depend on who else is tested, and gain by it: such a score is none of the trial alone. So a member's score s
becomes the share of *validation* trials of the same task (voice against face, face against face, voice against voice;
random impostors) that it scores higher than s: a map that is fixed before testing begins. The score of the fusion is
minus the mean of its members' shares, all of one weight. It is of the pair alone, within (-1, 0), and rises with each
member's score.

Members were chosen on those people and are ranked among them, so that nobody is left to say what a score of the fusion
means: it has thresholds, found on them as well, and no log-likelihood ratio.

The model file of a fusion holds its members whole: what their files said and held, and their maps.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import save
from torch import Tensor

from pipeline.errors import CheckpointError, ProtocolError, ScoreError
from pipeline.files import atomic_path
from pipeline.protocol import ProtocolTables
from pipeline.protocol.judged import judged_on
from pipeline.protocol.tables import parity_lists
from pipeline.protocol.vocabulary import CROSS_MODAL, RANDOM, UNSEEN, VERIFICATION_TASKS, Task
from pipeline.scoring.calibration import Calibration, absent, score_thresholds
from pipeline.scoring.model import METADATA, Contents, Model, contents_of, model_from, verification_task
from pipeline.scoring.provenance import RELEASED, Provenance
from pipeline.scoring.similarity import Matrix
from pipeline.settings import FUSED, RunSettings

Floats = NDArray[np.float64]
_FORMAT = 1
_NOBODY_LEFT = "a fusion's members were chosen on the validation people and are ranked among them: nobody is left"
_NOBODY_NAMED = "no list names the validation people: labels by row parity say nothing of a score"
_NETWORKS = "networks"  # before the names of a member's tensors; of its maps' a task


@dataclass(frozen=True)
class ShareHigher:
    """The share of validation trials that a model scores higher than s: it falls strictly with s, within (0, 1).

    Between two of the trials' scores it is linear, so that scores tell apart what they told apart before; beyond the
    last ones it nears 1 and 0 without reaching them.
    """

    scores: Floats  # (K,) of the trials, distinct, rising
    shares: Floats  # (K,) of trials that are scored higher; of equal ones half

    @classmethod
    def of(cls, scores: ArrayLike) -> "ShareHigher":
        """The map of N trials' scores; raises ScoreError where they are all the same, or not finite."""
        distinct, counts = np.unique(np.asarray(scores, dtype=np.float64), return_counts=True)
        if len(distinct) < 2 or not np.isfinite(distinct).all():
            raise ScoreError("its scores of the validation trials are all the same or not finite, so that none ranks")
        higher = counts.sum() - np.cumsum(counts)
        return cls(distinct, (higher + 0.5 * counts) / counts.sum())

    def __call__(self, scores: ArrayLike) -> Floats:
        """Shares (...) of scores (...)."""
        given = np.asarray(scores, dtype=np.float64)
        least, most = self.scores[0], self.scores[-1]
        scale = most - least
        inside = np.interp(given, self.scores, self.shares)
        above = self.shares[-1] * scale / (scale + np.maximum(given - most, 0.0))
        below = 1.0 - (1.0 - self.shares[0]) * scale / (scale + np.maximum(least - given, 0.0))
        return np.asarray(np.where(given > most, above, np.where(given < least, below, inside)))


Maps = Mapping[str, Sequence[ShareHigher]]  # verification task -> one for each of a member's scores


@dataclass(frozen=True)
class Fusion:
    """Trained runs that score as one. They give S scores of a pair; a member that gives one is in each of them."""

    contents: Mapping[str, Contents]  # run -> what its model file says and holds
    members: Sequence[Model]  # in that order
    maps: Sequence[Maps]  # in that order
    calibrations: Mapping[str, Sequence[Calibration]] = field(default_factory=dict)  # verification task -> S
    mean_calibrations: Mapping[str, Calibration] = field(default_factory=dict)  # of the S scores' mean, where S > 1

    compares: Literal["pairs"] = "pairs"  # it has scores of any pair, and no embeddings

    @property
    def judges(self) -> int:
        """S, how many scores it gives a pair."""
        return max(member.judges for member in self.members)

    @property
    def settings(self) -> Mapping[str, object]:
        """What it is, in the words of a run's settings."""
        return {"method": FUSED, "fusion": {run: member.settings for run, member in self._named()}}

    @property
    def provenance(self) -> Provenance:
        """Where its vectors must come from: what its members were trained on, which is the same for all."""
        return self.trained[0].provenance if self.trained else self.members[0].provenance

    @property
    def protocol(self) -> str:
        """The digest of the protocol that its members were trained under; of several no protocol's."""
        return "|".join(sorted({member.protocol for member in self.members}))

    @property
    def trained(self) -> Sequence[Model]:
        """Its members but for released checkpoints, which take what vectors the user has."""
        return [one for one in self.members if not any(origin.get(RELEASED) for origin in one.provenance.values())]

    def was_trained_with(self, settings: RunSettings) -> bool:
        """Whether these settings are of a fusion of these members, trained as they were."""
        wanted = settings.fusion or {}
        return wanted.keys() == self.contents.keys() and all(
            member.was_trained_with(RunSettings.model_validate(wanted[run])) for run, member in self._named()
        )

    def summary(self) -> dict[str, str]:
        """What a report says of it."""
        summary = {"method": FUSED, "members": ", ".join(self.contents)}
        for own in (member.summary() for member in self.members):
            summary |= {key: value for key, value in own.items() if key in ("padded", "released")}
        return summary

    def takes(self, modality: str) -> bool:
        """Whether all members know what to do with vectors of modality face | voice."""
        return all(member.takes(modality) for member in self.members)

    def ranks(self, task: Task) -> bool:
        """Whether it has maps for what the task compares: validation had such trials."""
        return all(verification_task(*task.sides) in own for own in self.maps)

    def calibration(self, left: str, right: str) -> Sequence[Calibration]:
        """Thresholds of its scores of pairs of two modalities, one for each score, and why there is no more."""
        task = verification_task(left, right)
        return self.calibrations.get(task, [absent(f"validation had no trials of {task}")] * self.judges)

    def mean_calibration(self, left: str, right: str) -> Calibration:
        """Thresholds of the mean of its S scores, which is the score to decide by, and why there is no more."""
        own, task = self.calibration(left, right), verification_task(left, right)
        if self.judges == 1 or task not in self.calibrations:
            return own[0]
        missing = f"the model file holds no thresholds of the mean of its {self.judges} scores: fuse the runs again"
        return self.mean_calibrations.get(task, absent(missing))

    def embed(self, modality: str, vectors: Matrix) -> Matrix:
        """It has none: raises ScoreError."""
        raise ScoreError(f"a fusion ({', '.join(self.contents)}) has no embeddings: ask it for scores")

    def score(self, left: str, probes: Matrix, right: str, candidates: Matrix) -> Matrix:
        """Scores (S, P, G) of probes (P, D) against their candidates (P, G, D)."""
        scores = [member.score(left, probes, right, candidates) for member in self.members]
        return self.fused((left, right), scores)

    def fused(self, sides: tuple[str, str], scores: Sequence[Matrix]) -> Matrix:
        """Scores (S, ...) from those that each member has for the same pairs, (S of the member, ...)."""
        return np.stack(
            [
                self.fused_by(judge, sides, [own[min(judge, len(own) - 1)] for own in scores])
                for judge in range(self.judges)
            ]
        )

    def fused_by(self, judge: int, sides: tuple[str, str], scores: Sequence[Matrix]) -> Matrix:
        """Scores (...) by the judge-th score of each member, (...). Raises ScoreError for sides that have no map."""
        task = verification_task(*sides)
        shares = []
        for (run, _), maps, own in zip(self._named(), self.maps, scores, strict=True):
            if task not in maps:
                raise ScoreError(f"member {run} has no map for {task}: validation had no such trials")
            shares.append(maps[task][min(judge, len(maps[task]) - 1)](own))
        return np.asarray(-np.mean(shares, axis=0), dtype=np.float32)

    def _named(self) -> Sequence[tuple[str, Model]]:
        return list(zip(self.contents, self.members, strict=True))


def fuse(contents: Mapping[str, Contents], tables: ProtocolTables, faces: Matrix, voices: Matrix) -> Fusion:
    """Trained runs as a fusion, with maps fitted on the random validation trials of a protocol for these stores.

    Members are in the order of their names, so that the order in which they were named changes nothing.
    Tasks that validation does not hold, or a member does not take, are left out. Raises ProtocolError where it does not
    hold the trials that the members are for, ScoreError for a member whose scores rank nothing.
    """
    stores, maps, contents = {"face": faces, "voice": voices}, [], dict(sorted(contents.items()))
    members = {run: model_from(*own, Path(run)) for run, own in contents.items()}
    for run, member in members.items():
        try:
            maps.append(_fitted(member, tables, stores))
        except (ProtocolError, ScoreError) as error:
            raise type(error)(f"run {run}, a member: {error}") from error
    fusion = Fusion(contents, list(members.values()), maps)
    return _with_thresholds(fusion, tables, stores)


def _with_thresholds(fusion: Fusion, tables: ProtocolTables, stores: Mapping[str, Matrix]) -> Fusion:
    """The fusion with thresholds of each of its scores and, where there are several, of their mean.

    Trials whose labels are by row parity rank scores, which needs no label, and give no thresholds.
    """
    of_each: dict[str, Sequence[Calibration]] = {}
    of_mean: dict[str, Calibration] = {}
    by_parity = f"validation_{RANDOM.name}_{UNSEEN.run_together}" in parity_lists(tables.summary)
    for task, trials in _validation(tables, stores):
        if task == CROSS_MODAL and by_parity:
            of_mean[task.name] = absent(_NOBODY_NAMED)
            of_each[task.name] = [of_mean[task.name]] * fusion.judges
        elif fusion.ranks(task) and len(np.unique(trials.labels)) == 2:
            scores = fusion.score(task.left, trials.left, task.right, trials.right[:, None])[:, :, 0]
            thresholds = [score_thresholds(own, trials.labels) for own in (*scores, scores.mean(axis=0))]
            *each, mean = (Calibration(trials.people, thresholds=own, reason=_NOBODY_LEFT) for own in thresholds)
            of_each[task.name], of_mean[task.name] = each, mean
    return replace(fusion, calibrations=of_each, mean_calibrations=of_mean if fusion.judges > 1 else {})


class _Trials(NamedTuple):
    """Random validation trials of one task."""

    left: Matrix  # (N, D)
    right: Matrix  # (N, D)
    labels: NDArray[np.int64]  # (N,)
    people: int


def _validation(tables: ProtocolTables, stores: Mapping[str, Matrix]) -> Iterator[tuple[Task, _Trials]]:
    """Those of each task that has some."""
    for task in VERIFICATION_TASKS.values():
        trials = tables.trials("validation", UNSEEN.name, task.name, RANDOM.name)
        if len(trials):
            rows = [trials[f"{side}_row"].to_numpy(np.int64) for side in ("left", "right")]
            left, right = (stores[modality][own] for modality, own in zip(task.sides, rows, strict=True))
            people = set(trials["left_identity"]) | set(trials["right_identity"])
            yield task, _Trials(left, right, trials["label"].to_numpy(np.int64), len(people))


def _fitted(member: Model, tables: ProtocolTables, stores: Mapping[str, Matrix]) -> Maps:
    maps: dict[str, Sequence[ShareHigher]] = {}
    for task, trials in _validation(tables, stores):
        if all(member.takes(side) for side in task.sides):
            scores = member.score(task.left, trials.left, task.right, trials.right[:, None])[:, :, 0]
            maps[task.name] = [ShareHigher.of(own) for own in scores]
    wanted = judged_on(str(member.settings["modality"]))
    if wanted.name not in maps:
        raise ProtocolError(
            f"no validation trials of {wanted.words} to rank its scores among: set protocol.validation_ratio above 0, "
            "or remove the fusion from fusions: in params.yaml"
        )
    return maps


def save_fusion(path: Path, fusion: Fusion) -> None:
    """Write it whole or not at all."""
    state: dict[str, Tensor] = {}
    for number, ((_, held), maps) in enumerate(zip(fusion.contents.values(), fusion.maps, strict=True)):
        state |= {f"{number}/{_NETWORKS}/{name}": value for name, value in held.items()}
        for task, judge, one in ((task, judge, one) for task, own in maps.items() for judge, one in enumerate(own)):
            state[f"{number}/{task}/{judge}/scores"] = torch.from_numpy(one.scores)
            state[f"{number}/{task}/{judge}/shares"] = torch.from_numpy(one.shares)
    members = {run: header for run, (header, _) in fusion.contents.items()}
    tasks = [{task: len(own) for task, own in maps.items()} for maps in fusion.maps]
    calibration = {task: [asdict(own) for own in of_task] for task, of_task in fusion.calibrations.items()}
    of_mean = {task: asdict(own) for task, own in fusion.mean_calibrations.items()}
    header = {"format": _FORMAT, FUSED: members, "tasks": tasks, "calibration": calibration}
    header["mean_calibration"] = of_mean
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, metadata={METADATA: json.dumps(header, sort_keys=True)}))


def load_trained(path: Path, device: torch.device | None = None) -> Model | Fusion:
    """Read a trained run or a fusion; raises CheckpointError as load_model does."""
    header, state = contents_of(path)
    if FUSED not in header:
        return model_from(header, state, path, device)
    try:
        contents = _members(header, state, path)
        members = [model_from(*own, Path(f"{path} ({run})"), device) for run, own in contents.items()]
        maps = [_maps(state, number, tasks) for number, tasks in enumerate(header["tasks"])]
        calibrations = {
            task: [Calibration(**own) for own in of_task] for task, of_task in header["calibration"].items()
        }
        of_mean = {task: Calibration(**own) for task, own in header.get("mean_calibration", {}).items()}
        fusion = Fusion(contents, members, maps, calibrations, of_mean)
        if len(maps) != len(members) or any(
            len(own) != member.judges for member, of_task in zip(members, maps, strict=True) for own in of_task.values()
        ):
            raise ValueError("it does not hold a map for each score of its members")
        if any(len(of_task) != fusion.judges for of_task in calibrations.values()):
            raise ValueError("it does not hold thresholds for each of its scores")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read as a fusion ({error}); fuse it again") from error
    return fusion


def members_of(path: Path, run: str) -> Mapping[str, Contents]:
    """What the file of run `run` says and holds, by run: of a fusion its members, which it stands for."""
    header, state = contents_of(path)
    return _members(header, state, path) if FUSED in header else {run: (header, state)}


def _members(header: Mapping[str, Any], state: Mapping[str, Tensor], path: Path) -> Mapping[str, Contents]:
    if header["format"] != _FORMAT:
        raise CheckpointError(f"{path} is a fusion of format {header['format']}, we read {_FORMAT}: fuse it again")
    starts = {run: f"{number}/{_NETWORKS}/" for number, run in enumerate(header[FUSED])}
    return {
        run: (header[FUSED][run], {name[len(start) :]: part for name, part in state.items() if name.startswith(start)})
        for run, start in starts.items()
    }


def _maps(state: Mapping[str, Tensor], number: int, tasks: Mapping[str, int]) -> Maps:
    return {task: [_map(state, f"{number}/{task}/{judge}") for judge in range(n)] for task, n in tasks.items()}


def _map(state: Mapping[str, Tensor], name: str) -> ShareHigher:
    scores, shares = (state[f"{name}/{part}"].numpy() for part in ("scores", "shares"))
    rising = np.isfinite(scores).all() and (np.diff(scores) > 0.0).all()
    if not (len(scores) == len(shares) > 1 and rising and (np.diff(shares) < 0.0).all() and shares[0] < 1.0):
        raise ValueError(f"{name} is no map that falls from below 1 to above 0")
    return ShareHigher(scores, shares)
