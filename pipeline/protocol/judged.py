"""Which tasks a run is judged on, by the modality that it was trained for.

It decides the trials by which models are chosen. Training and evaluation depend on it, but not on the vocabulary, in
which a new criterion is an entry that no trained run has to do with.
"""

from collections.abc import Mapping

from pipeline.protocol.vocabulary import MODALITIES, VERIFICATION_TASKS, Task


def learnt_tasks(modality: str, tasks: Mapping[str, Task]) -> list[Task]:
    """Those of `tasks` that a run of `train.modality` (both | face | voice) was trained for.

    The one that runs are compared by comes first: cross-modal before one modality, voices as probes before faces, as in
    the paper's figures.
    """
    seen = set(MODALITIES) if modality == "both" else {modality}
    learnt = [task for task in tasks.values() if seen.issuperset(task.sides)]
    return sorted(learnt, key=lambda task: (not task.is_cross_modal, task.left != "voice"))


def judged_on(modality: str) -> Task:
    """The verification task that a run of `train.modality` is selected and compared on."""
    return learnt_tasks(modality, VERIFICATION_TASKS)[0]
