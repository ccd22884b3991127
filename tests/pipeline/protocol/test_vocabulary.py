"""The words of a protocol: what follows from a task's sides, and that a criterion is one entry."""

import pytest

from pipeline.errors import ConfigError
from pipeline.protocol.judged import judged_on, learnt_tasks
from pipeline.protocol.vocabulary import (
    CRITERIA,
    MATCHING_TASKS,
    PUBLISHED,
    REGIMES,
    SEEN,
    TASKS,
    UNSEEN,
    VERIFICATION_TASKS,
    Criterion,
    criterion_named,
)
from tests.pipeline.protocol.corpora import built, settings, tables


def test_matching_tasks_are_named_after_their_sides_probe_first() -> None:
    for name, task in MATCHING_TASKS.items():
        assert name == f"{task.left[0]}2{task.right[0]}"
    assert len(TASKS) == len(VERIFICATION_TASKS) + len(MATCHING_TASKS) == 7


@pytest.mark.parametrize(
    ("modality", "verification", "matching"),
    [
        ("both", ["cross_modal", "voice", "face"], ["v2f", "f2v", "v2v", "f2f"]),
        ("voice", ["voice"], ["v2v"]),
        ("face", ["face"], ["f2f"]),
    ],
)
def test_a_run_has_learnt_what_its_modalities_allow(
    modality: str, verification: list[str], matching: list[str]
) -> None:
    assert [task.name for task in learnt_tasks(modality, VERIFICATION_TASKS)] == verification
    assert [task.name for task in learnt_tasks(modality, MATCHING_TASKS)] == matching
    assert judged_on(modality).name == verification[0]


def test_regimes_say_of_which_split_their_people_are() -> None:
    assert [UNSEEN.split("test"), UNSEEN.split("validation"), SEEN.split("test")] == ["test", "validation", "train"]
    assert [regime.run_together for regime in REGIMES.values()] == ["unseenunheard", "seenheard"]


def test_criteria_say_in_words_what_is_shared() -> None:
    words = {name: criterion_named(name).words for name in CRITERIA}
    assert words == {
        "random": "",
        "G": "gender",
        "N": "nationality",
        "A": "age bin",
        "GNA": "gender, nationality and age bin",
        "L": "language",
    }
    assert set(PUBLISHED) == set(CRITERIA) - {"L"}


def test_an_unknown_criterion_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"protocol\.criteria: 'H' is not known; known: A, G, GNA, L, N, random"):
        criterion_named("H")


def test_one_entry_makes_a_criterion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CRITERIA, "GN", Criterion("GN", ("gender", "nationality")))
    made = built(tables(people=60), settings(trials=100, galleries=20, criteria=["random", "GN"]))
    people = made.identities.set_index("identity")
    impostors = made.trials("test", "unseen_unheard", "cross_modal", "GN").query("label == 0")
    assert len(impostors) == 50
    for trait in ("gender", "nationality"):
        left, right = (people.loc[impostors[f"{side}_identity"], trait].to_numpy() for side in ("left", "right"))
        assert (left == right).all()
    coverage = made.coverage.set_index("list")
    assert coverage.loc["verification/test/unseen_unheard/cross_modal/GN", "mismatched"] == 0
