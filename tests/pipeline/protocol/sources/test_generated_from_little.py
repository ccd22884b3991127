"""Generated protocols where a corpus lacks something: a modality, recordings, metadata, people."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ProtocolError
from pipeline.protocol.splits import held_out_clips
from tests.pipeline.protocol.corpora import Tables, built, settings, tables


def test_an_audio_only_corpus_gets_voice_trials_and_says_what_is_absent() -> None:
    parts = tables(people=30)
    made = built(Tables(parts.manifest, parts.faces.iloc[:0], parts.voices), settings())
    assert set(made.verification["task"]) == {"voice"}
    assert set(made.matching["task"]) == {"v2v"}
    assert made.summary["cross_modal"] is False and made.classes == 0 and len(made.train_pairs) == 0
    reasons = made.coverage.set_index("list")["reason"]
    assert (
        reasons["verification/test/unseen_unheard/cross_modal/random"]
        == "absent: 0 identities have rows for it; two are needed"
    )
    assert made.summary["identities_voice_only"] == 30


def test_people_with_one_modality_train_nothing_and_are_counted() -> None:
    parts = tables(people=30)
    faces = parts.faces[~parts.faces["identity"].isin([f"person{number:03d}" for number in range(10)])]
    made = built(Tables(parts.manifest, faces.reset_index(drop=True), parts.voices), settings())
    assert made.summary["identities_voice_only"] == 10
    alone = made.identities.iloc[:10]
    assert (alone["class_index"] == -1).all()
    cross_modal = made.verification[made.verification["task"] == "cross_modal"]
    assert not set(alone["identity"]) & (set(cross_modal["left_identity"]) | set(cross_modal["right_identity"]))


def test_one_recording_a_person_gives_cross_modal_trials_within_it_and_says_so() -> None:
    made = built(tables(people=24, clips=1), settings())
    trials = made.trials("test", "unseen_unheard", "cross_modal", "random")
    assert len(trials) > 0
    line = made.coverage.set_index("list").loc["verification/test/unseen_unheard/cross_modal/random"]
    assert line["reason"] == f"6 identities; {len(trials) // 2} genuine trials within one recording"
    absent = made.coverage.set_index("list")["reason"]
    assert (
        absent["verification/test/unseen_unheard/face/random"]
        == "absent: no identity has face rows from two recordings"
    )
    assert absent["verification/test/seen_heard/cross_modal/random"].startswith("absent: 0 identities")


def test_unknown_metadata_leaves_a_list_out_with_the_reason() -> None:
    parts = tables()
    manifest = parts.manifest.assign(nationality=pd.array([None] * len(parts.manifest), dtype="string"))
    made = built(Tables(manifest, parts.faces, parts.voices), settings())
    reasons = made.coverage.set_index("list")["reason"]
    assert (
        reasons["verification/test/unseen_unheard/cross_modal/N"]
        == "absent: no two of 6 identities share a known nationality"
    )
    assert "verification/test/unseen_unheard/cross_modal/N" in made.summary["absent"]
    assert set(made.verification["criterion"]) == {"random", "G", "A"}


def test_galleries_shrink_with_the_test_identities_and_say_so() -> None:
    made = built(tables(people=24), settings(gallery_size=10))
    assert set(made.matching["impostor_rows"].map(len)) == {5}
    reasons = made.coverage.set_index("list")["reason"]
    assert (
        reasons["matching/test/unseen_unheard/f2v"]
        == "6 identities; galleries of 6, because there are no more identities"
    )


def test_faces_and_voices_from_different_recordings_both_remain_for_training() -> None:
    """As with photos beside audio files: holding out must not take a person's only voice."""
    parts = tables(people=12, clips=4)
    clip = parts.manifest["clip"].str[-5].astype(int)
    photos = set(parts.manifest["clip"][clip < 3])
    faces = parts.faces[parts.faces["clip"].isin(photos)].reset_index(drop=True)
    voices = parts.voices[~parts.voices["clip"].isin(photos)].reset_index(drop=True)
    made = built(Tables(parts.manifest, faces, voices), settings())
    assert made.train_pairs["class_index"].nunique() == made.classes


@pytest.mark.parametrize(("share", "kept_out"), [(0.0, 0), (0.01, 1), (0.34, 2), (0.5, 3), (1.0, 5)])
def test_held_out_share_leaves_a_recording_to_train_on(share: float, kept_out: int) -> None:
    corpus = tables(people=4, clips=6).corpus()
    held = held_out_clips(corpus, np.array([True, True, False, True]), settings(seen_heard_clips=share))
    assert np.bincount(corpus.clips["person"][held], minlength=4).tolist() == [kept_out, kept_out, 0, kept_out]


def test_no_embedding_at_all_is_refused() -> None:
    parts = tables(people=4)
    with pytest.raises(ProtocolError, match="no embedding at all"):
        Tables(parts.manifest, parts.faces.iloc[:0], parts.voices.iloc[:0]).corpus()


def test_a_store_of_people_the_manifest_does_not_know_is_refused() -> None:
    parts = tables(people=8)
    manifest = parts.manifest[parts.manifest["identity"] != "person003"]
    with pytest.raises(ProtocolError, match=r"first: 'person003'.*run `dvc repro`"):
        Tables(manifest, parts.faces, parts.voices).corpus()
