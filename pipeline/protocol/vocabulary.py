"""The words of a protocol, each defined once: tasks, regimes, and the criteria by which impostors are chosen.

Every other module takes names, sides and wording from here. A new criterion is one entry of CRITERIA.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.registry import named

Modality = Literal["face", "voice"]
MODALITIES: tuple[Modality, ...] = ("face", "voice")


@dataclass(frozen=True)
class Task:
    """What is compared with what: the two sides of a verification trial, or a matching probe and its gallery."""

    name: str
    left: Modality  # of a gallery: the probe
    right: Modality  # of a gallery: the candidates
    words: str  # in tables

    @property
    def sides(self) -> tuple[Modality, Modality]:
        """Modalities of the left and of the right row."""
        return self.left, self.right

    @property
    def is_cross_modal(self) -> bool:
        """Whether a face is compared with a voice."""
        return self.left != self.right


CROSS_MODAL = Task("cross_modal", "voice", "face", "voice against face")
FACES = Task("face", "face", "face", "face against face")
VOICES = Task("voice", "voice", "voice", "voice against voice")
F2V = Task("f2v", "face", "voice", "face to voice")
V2F = Task("v2f", "voice", "face", "voice to face")
F2F = Task("f2f", "face", "face", "face to face")
V2V = Task("v2v", "voice", "voice", "voice to voice")


def _by_name(tasks: Iterable[Task]) -> dict[str, Task]:
    return {task.name: task for task in tasks}


VERIFICATION_TASKS: Mapping[str, Task] = _by_name([CROSS_MODAL, FACES, VOICES])
MATCHING_TASKS: Mapping[str, Task] = _by_name([F2V, V2F, F2F, V2V])
TASKS: Mapping[str, Task] = {**VERIFICATION_TASKS, **MATCHING_TASKS}


@dataclass(frozen=True)
class Regime:
    """Whether the people of a trial were trained on."""

    name: str
    trained: bool  # the people train; their recordings in the trials do not

    @property
    def run_together(self) -> str:
        """As the released files write it, such as unseenunheard."""
        return self.name.replace("_", "")

    def split(self, subset: str) -> str:
        """The split that the people of its trials are of; `subset` is validation or test."""
        return "train" if self.trained else subset


UNSEEN = Regime("unseen_unheard", trained=False)  # its figures are at the top level of metrics.json
SEEN = Regime("seen_heard", trained=True)
REGIMES: Mapping[str, Regime] = {regime.name: regime for regime in (UNSEEN, SEEN)}

NO_SPLIT = "none"  # of people whom the lists do not name, and of anonymous samples
HEARD, UNHEARD = "heard", "unheard"  # of a language: whether the run's training pairs are in it; its people are unseen


@dataclass(frozen=True)
class Trait:
    """What the manifest may say of a person, or of a recording."""

    name: str  # column of the manifest
    words: str  # what two people have in common who share it
    of_recordings: bool = False  # one person's recordings may differ in it


TRAITS: Mapping[str, Trait] = {
    trait.name: trait
    for trait in (
        Trait("gender", "gender"),
        Trait("nationality", "nationality"),
        Trait("age", "age bin"),
        Trait("language", "language", of_recordings=True),
    )
}
PERSON_TRAITS = tuple(name for name, trait in TRAITS.items() if not trait.of_recordings)
RECORDING_TRAITS = tuple(name for name, trait in TRAITS.items() if trait.of_recordings)


@dataclass(frozen=True)
class Criterion:
    """What impostors share with the genuine person, so that a model cannot decide by it.

    A trait of recordings, such as language, is shared by both rows of every trial, of genuine trials too: a genuine
    pair in two languages, of a person who speaks both, would otherwise differ from every impostor pair.
    """

    name: str
    shared: tuple[str, ...]  # keys of TRAITS

    @property
    def words(self) -> str:
        """Such as "gender, nationality and age bin"; empty where nothing is asked for."""
        words = [TRAITS[trait].words for trait in self.shared]
        return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


RANDOM = Criterion("random", ())
CRITERIA: Mapping[str, Criterion] = {
    criterion.name: criterion
    for criterion in (
        RANDOM,
        Criterion("G", ("gender",)),
        Criterion("N", ("nationality",)),
        Criterion("A", ("age",)),
        Criterion("GNA", ("gender", "nationality", "age")),
        Criterion("L", ("language",)),
    )
}
PUBLISHED = ("random", "G", "N", "A", "GNA")  # those of the released verification lists, and of the paper's Table II
# The tracks of MAV-Celeb's challenges by the criterion of their impostors; version 4 has both, the others the first.
CHALLENGE_TRACKS: Mapping[str, Criterion] = {"no_gender": RANDOM, "gender": CRITERIA["G"]}
# The released 1:2 matching lists have names of their own.
RELEASED_MATCHING: Mapping[str, Criterion] = {
    criterion.name: criterion
    for criterion in (Criterion("U", ()), CRITERIA["G"], CRITERIA["N"], Criterion("GN", ("gender", "nationality")))
}


def criterion_named(name: str) -> Criterion:
    """The criterion that `protocol.criteria` names; raises ConfigError for an unknown one."""
    return named(CRITERIA, name, "protocol.criteria")
