"""Whether runs can be trained, chosen and measured on a protocol; checked before the first of them starts."""

from collections.abc import Mapping

from pipeline.errors import ProtocolError
from pipeline.protocol.judged import judged_on, learnt_tasks
from pipeline.protocol.tables import ProtocolTables
from pipeline.protocol.vocabulary import RANDOM, UNSEEN, VERIFICATION_TASKS, Task
from pipeline.settings import RunSettings

_TASKS = learnt_tasks("both", VERIFICATION_TASKS)
_SKIPPED = "artifacts/faces/skipped.csv and artifacts/voices/skipped.csv say what could not be used"


def check_usable(tables: ProtocolTables) -> None:
    """Raise ProtocolError for a protocol without a training pair, and for one without a random list of test trials.

    The trials of a challenge, whose truth is withheld, are enough: they are there to be submitted.
    """
    if not len(tables.train_pairs):
        raise ProtocolError(_no_pairs(tables.summary))
    if not any(_has(tables, "test", task) for task in _TASKS) and tables.challenge["key"].eq("").all():
        raise ProtocolError(_no_tests(tables))


def runs_without_trials(tables: ProtocolTables, runs: Mapping[str, RunSettings]) -> dict[str, list[str]]:
    """Runs whose `selection` needs trials that are absent, so that no model can be chosen, in lists by reason."""
    found: dict[str, list[str]] = {}
    for name, settings in runs.items():
        task = judged_on(settings.modality)
        if settings.selection != "last" and not _has(tables, settings.selection, task):
            reason = f"no {settings.selection} trials, {_coverage(tables, settings.selection, task)}"
            found.setdefault(reason, []).append(name)
    return found


def _has(tables: ProtocolTables, subset: str, task: Task) -> bool:
    return len(tables.trials(subset, UNSEEN.name, task.name, RANDOM.name)["label"].unique()) == 2


def _coverage(tables: ProtocolTables, subset: str, task: Task) -> str:
    """The remark of coverage.csv on a random list."""
    name = f"verification/{subset}/{UNSEEN.name}/{task.name}/{RANDOM.name}"
    lines = tables.coverage[tables.coverage["list"] == name]
    return f"{task.name} {lines['reason'].iloc[0] if len(lines) else 'absent'}"


def _no_pairs(summary: Mapping[str, object]) -> str:
    paired = summary["identities_paired"]
    if isinstance(paired, dict) and any(paired.values()):
        return (
            f"no training pair: {paired['train']} identities of the training split have both a face and a voice, but "
            f"none in recordings that are free to train on; add media of them ({_SKIPPED})"
        )
    return (
        f"nobody has both a face and a voice ({summary['identities_face_only']} identities have only a face, "
        f"{summary['identities_voice_only']} only a voice). Every run trains on pairs of the two, those of one "
        f"modality, too: add what is missing, under the same identities ({_SKIPPED})"
    )


def _no_tests(tables: ProtocolTables) -> str:
    settings = tables.summary["settings"]
    if tables.summary["source"] == "generated" and isinstance(settings, dict) and settings["test_ratio"] == 0:
        return "protocol.test_ratio is 0, so that nobody is tested and no run could be measured: raise it"
    reasons = "; ".join(_coverage(tables, "test", task) for task in _TASKS)
    return f"no random list of test trials, so that no run could be measured ({reasons}): add media of test identities"
