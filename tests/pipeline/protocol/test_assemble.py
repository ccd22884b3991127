"""Impostors who do not share what their list says: counted by hand on six trials."""

import numpy as np
import pandas as pd
import pytest

from pipeline.protocol.assemble import mismatched_impostors
from pipeline.protocol.corpus import Corpus, StoreRows
from pipeline.protocol.tables import shaped
from tests.pipeline.protocol.corpora import built, settings, tables

PEOPLE = [("ann", "f", "GR", 21.0), ("bea", "f", "IN", 29.0), ("cid", "m", "GR", 30.0), ("dan", None, "GR", None)]
NAMES = [name for name, *_ in PEOPLE]
LANGUAGE = np.array([0, 0, 1, -1])  # of each row; of dan's it is unknown
PAIRS = [("ann", "ann"), ("ann", "bea"), ("ann", "cid"), ("bea", "cid"), ("ann", "dan"), ("cid", "cid")]


def corpus() -> Corpus:
    """Four people, one row each in both stores."""
    people = pd.DataFrame(PEOPLE, columns=["identity", "gender", "nationality", "age"])
    people = people.astype({"age": "Float64", "gender": "string", "nationality": "string"}).assign(modalities="both")
    rows = StoreRows(np.arange(4), np.arange(4), {"language": LANGUAGE})
    return Corpus(people, pd.DataFrame({"person": np.arange(4), "clip": list("abcd")}), rows, rows, 0)


def trials(criterion: str) -> pd.DataFrame:
    left, right = (pd.Series(names) for names in zip(*PAIRS, strict=True))
    table = pd.DataFrame({"left_identity": left, "right_identity": right, "label": (left == right).astype(int)})
    table = table.assign(left_row=left.map(NAMES.index), right_row=right.map(NAMES.index))
    table = table.assign(subset="test", regime="unseen_unheard", task="cross_modal", criterion=criterion, position=0)
    return shaped("verification", table)


@pytest.mark.parametrize(
    ("criterion", "count"), [("random", None), ("G", 2), ("N", 2), ("A", 2), ("GNA", 3), ("L", 2)]
)  # ann and bea share gender and age bin, ann and cid the nationality; of dan only the nationality is known,
# and of his row not the language
def test_known_traits_that_differ_are_counted_and_unknown_ones_are_not(criterion: str, count: int | None) -> None:
    assert mismatched_impostors(corpus(), trials(criterion), 10.0) == count


def test_age_bins_are_as_wide_as_asked() -> None:
    assert mismatched_impostors(corpus(), trials("A"), 100.0) == 0


def test_trait_that_is_known_of_nobody_gives_no_count() -> None:
    people = corpus()
    people.people["age"] = pd.array([None] * 4, dtype="Float64")
    assert mismatched_impostors(people, trials("A"), 10.0) is None
    assert mismatched_impostors(people, trials("GNA"), 10.0) == 3


@pytest.mark.parametrize("task", ["f2v", "v2f"])
def test_impostors_of_galleries_are_counted_one_by_one(task: str) -> None:
    table = pd.DataFrame({"probe_row": [0, 1], "probe_identity": ["ann", "bea"], "genuine_row": [0, 1]})
    table = table.assign(impostor_rows=[[1, 2], [2, 3]], subset="test", regime="unseen_unheard", task=task)
    galleries = shaped("matching_released", table.assign(criterion="GN", position=0))
    assert mismatched_impostors(corpus(), galleries, 10.0) == 4  # bea, cid for ann, cid, dan for bea


def test_generated_lists_hold_none() -> None:
    coverage = built(tables(people=40), settings(trials=100, galleries=20)).coverage.set_index("list")
    for criterion in ("G", "N", "A", "GNA"):
        assert coverage.loc[f"verification/test/seen_heard/cross_modal/{criterion}", "mismatched"] == 0
