"""Criterion L: impostors, and genuine pairs, of recordings in one language, per item or per person."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.protocol.sources.generated import generate
from pipeline.protocol.tables import ProtocolTables
from pipeline.protocol.trials import trial_units
from pipeline.protocol.vocabulary import CRITERIA, RANDOM, Criterion
from tests.pipeline.protocol.corpora import Tables, built, settings, tables

LANGUAGES = np.array(["English", "Urdu"], dtype=object)


def bilingual(people: int = 40, clips: int = 6) -> Tables:
    """Everybody speaks both languages, the even recordings in one and the odd in the other; a sixth is unknown."""
    parts = tables(people=people, clips=clips, faces=2, voices=2)
    clip = parts.manifest["clip"].str.extract(r"/(\d+)\.")[0].astype(int)
    language = pd.Series(LANGUAGES[clip % 2]).where(clip != clips - 1)
    return replace(parts, manifest=parts.manifest.assign(language=language.astype("string")))


def protocol_of(parts: Tables) -> ProtocolTables:
    return built(parts, settings(trials=300, galleries=20, criteria=["random", "L"]))


def languages(parts: Tables, trials: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    known = parts.manifest.set_index("item")["language"]
    voices, faces = parts.voices.iloc[trials["left_row"]], parts.faces.iloc[trials["right_row"]]
    return known.loc[voices["item"]].to_numpy(dtype=object), known.loc[faces["item"]].to_numpy(dtype=object)


@pytest.fixture(scope="module")
def parts() -> Tables:
    return bilingual()


@pytest.fixture(scope="module")
def protocol(parts: Tables) -> ProtocolTables:
    return protocol_of(parts)


@pytest.mark.parametrize(
    ("subset", "regime"),
    [("validation", "unseen_unheard"), ("test", "unseen_unheard"), ("test", "seen_heard")],
)
def test_both_rows_of_every_trial_are_of_one_known_language(
    parts: Tables, protocol: ProtocolTables, subset: str, regime: str
) -> None:
    trials = protocol.trials(subset, regime, "cross_modal", "L")
    left, right = languages(parts, trials)
    assert len(trials) and (left == right).all() and set(left) == set(LANGUAGES)
    assert trials["label"].tolist() == [1, 0] * (len(trials) // 2)
    same = (trials["left_identity"] == trials["right_identity"]).to_numpy()
    assert (same == (trials["label"] == 1).to_numpy()).all()


def test_random_trials_do_mix_languages(parts: Tables, protocol: ProtocolTables) -> None:
    trials = protocol.trials("test", "unseen_unheard", "cross_modal", "random")
    left, right = languages(parts, trials)
    for label in (0, 1):
        same = np.mean([a == b for a, b in zip(left, right, strict=True) if pd.notna(a) and pd.notna(b)])
        assert 0.2 < same < 0.8, label


def test_genuine_trials_of_one_language_still_pair_two_recordings(parts: Tables, protocol: ProtocolTables) -> None:
    genuine = protocol.trials("test", "unseen_unheard", "cross_modal", "L").query("label == 1")
    voices, faces = parts.voices["clip"].to_numpy(), parts.faces["clip"].to_numpy()
    assert (voices[genuine["left_row"]] != faces[genuine["right_row"]]).all()


def test_coverage_counts_no_impostor_of_another_language(protocol: ProtocolTables) -> None:
    coverage = protocol.coverage.set_index("list")
    for regime in ("unseen_unheard", "seen_heard"):
        line = coverage.loc[f"verification/test/{regime}/cross_modal/L"]
        assert line["mismatched"] == 0 and line["used"] > 0


def test_other_lists_stay_as_they_are_without_languages(parts: Tables, protocol: ProtocolTables) -> None:
    plain = protocol_of(replace(parts, manifest=parts.manifest.assign(language=None)))
    assert not len(plain.trials("test", "unseen_unheard", "cross_modal", "L"))
    rest = protocol.verification[protocol.verification["criterion"] != "L"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, plain.verification)
    reasons = plain.coverage.set_index("list")["reason"]
    absent = "absent: no two of 10 identities share a known language"
    assert reasons["verification/test/unseen_unheard/cross_modal/L"] == absent


def test_languages_of_people_are_languages_of_all_their_recordings() -> None:
    parts = tables(people=40, clips=4)
    number = parts.manifest["identity"].str[-3:].astype(int)
    parts = replace(parts, manifest=parts.manifest.assign(language=LANGUAGES[number % 2]))
    made = protocol_of(parts)
    trials = made.trials("test", "unseen_unheard", "cross_modal", "L").query("label == 0")
    left, right = (trials[f"{side}_identity"].str[-3:].astype(int) % 2 for side in ("left", "right"))
    assert len(trials) and (left.to_numpy() == right.to_numpy()).all()


def test_who_speaks_a_language_alone_has_no_impostor_in_it() -> None:
    parts = tables(people=40, clips=4)
    names = sorted(set(parts.manifest["identity"]))
    own = dict.fromkeys(names, "English")
    plain = built(parts, settings(trials=100, galleries=20))
    alone = plain.trials("test", "unseen_unheard", "cross_modal", "random")["left_identity"].iloc[0]
    own[alone] = "Romansh"
    made = protocol_of(replace(parts, manifest=parts.manifest.assign(language=parts.manifest["identity"].map(own))))
    trials = made.trials("test", "unseen_unheard", "cross_modal", "L")
    assert len(trials) and alone not in set(trials["left_identity"]) | set(trials["right_identity"])


def test_units_split_people_by_language_and_leave_unknown_rows_out(parts: Tables) -> None:
    corpus = parts.corpus()
    people, units = trial_units(corpus, RANDOM), trial_units(corpus, CRITERIA["L"])
    assert len(people.person) == 40 and (people.faces >= 0).all()
    assert np.bincount(units.person).tolist() == [2] * 40
    known = corpus.faces.traits["language"] >= 0
    assert ((units.faces >= 0) == known).all() and 0 < known.sum() < len(known)
    assert (units.person[units.faces[known]] == corpus.faces.person[known]).all()
    assert (units.traits["language"].to_numpy()[units.faces[known]] == corpus.faces.traits["language"][known]).all()


def test_language_and_a_trait_of_people_can_be_asked_for_together(
    parts: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setitem(CRITERIA, "GL", Criterion("GL", ("gender", "language")))
    draft = generate(parts.inputs(), settings(trials=200, galleries=20, criteria=["random", "GL"]))
    trials = draft.tables.trials("test", "unseen_unheard", "cross_modal", "GL").query("label == 0")
    left, right = languages(parts, trials)
    gender = draft.tables.identities.set_index("identity")["gender"]
    assert len(trials) and (left == right).all()
    assert (gender[trials["left_identity"]].to_numpy() == gender[trials["right_identity"]].to_numpy()).all()
