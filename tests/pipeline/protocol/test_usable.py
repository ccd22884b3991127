"""What a protocol must hold for runs to be trained, chosen and measured."""

from dataclasses import replace

import pytest

from pipeline.errors import ProtocolError
from pipeline.protocol.usable import check_usable, runs_without_trials
from tests.pipeline.protocol.corpora import built, settings, tables
from tests.pipeline.settings_for_training import train_settings


def test_the_usual_corpus_is_usable_by_every_kind_of_run() -> None:
    made = built(tables(people=24), settings())
    check_usable(made)
    runs = {name: train_settings(selection="validation", modality=name) for name in ("both", "face", "voice")}
    assert runs_without_trials(made, runs) == {}


@pytest.mark.parametrize("missing", ["faces", "voices"])
def test_one_modality_alone_is_refused_with_the_counts(missing: str) -> None:
    parts = tables(people=30)
    made = built(replace(parts, **{missing: getattr(parts, missing).iloc[:0]}), settings())
    counts = {"faces": "0 identities have only a face, 30 only a voice", "voices": "30 identities have only a face, 0"}
    with pytest.raises(ProtocolError, match=rf"nobody has both a face and a voice \({counts[missing]}"):
        check_usable(made)


def test_people_with_all_recordings_held_out_are_not_reported_without_a_face() -> None:
    made = built(tables(people=24), settings())
    with pytest.raises(ProtocolError, match=r"15 identities of the training split have both .* free to train on"):
        check_usable(replace(made, train_pairs=made.train_pairs.iloc[:0]))


def test_no_test_people_are_refused_by_the_key_that_makes_some() -> None:
    with pytest.raises(ProtocolError, match=r"protocol\.test_ratio is 0.*raise it"):
        check_usable(built(tables(people=24), settings(test_ratio=0.0)))


def test_absent_test_trials_are_refused_with_the_reasons_of_coverage() -> None:
    made = built(tables(people=24, clips=1), settings())
    without = made.verification[made.verification["criterion"] != "random"]
    with pytest.raises(ProtocolError, match=r"no random list of test trials.*voice absent: no identity has voice rows"):
        check_usable(replace(made, verification=without))


def test_runs_without_trials_to_choose_on_are_listed_by_reason() -> None:
    made = built(tables(people=24, clips=1), settings())
    runs = {
        "cross": train_settings(selection="validation"),
        "voices": train_settings(selection="validation", modality="voice"),
        "voices again": train_settings(selection="validation", modality="voice"),
        "theirs": train_settings(selection="test", recipe="official", modality="face"),
        "whichever": train_settings(selection="last", modality="face"),
    }
    assert runs_without_trials(made, runs) == {
        "no validation trials, voice absent: no identity has voice rows from two recordings": [
            "voices",
            "voices again",
        ],
        "no test trials, face absent: no identity has face rows from two recordings": ["theirs"],
    }
