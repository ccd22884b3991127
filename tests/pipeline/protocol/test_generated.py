"""Generated protocols on corpora of all kinds."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ProtocolError
from pipeline.protocol.held_out import held_out_clips
from pipeline.protocol.tables import ProtocolTables
from tests.pipeline.protocol.corpora import Tables, built, settings, tables


@pytest.fixture(scope="module")
def corpus() -> Tables:
    return tables(people=60, clips=6, faces=3)


@pytest.fixture(scope="module")
def protocol(corpus: Tables) -> ProtocolTables:
    return built(corpus, settings(trials=400, galleries=100))


def rows_of(corpus: Tables, task: str, trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    left = corpus.faces if task == "face" else corpus.voices
    right = corpus.voices if task == "voice" else corpus.faces
    return left.iloc[trials["left_row"]].reset_index(drop=True), right.iloc[trials["right_row"]].reset_index(drop=True)


def test_every_list_of_the_paper_is_there_and_balanced(protocol: ProtocolTables) -> None:
    lists = protocol.verification.groupby(["subset", "regime", "task", "criterion"])
    wanted = {("cross_modal", criterion) for criterion in ("random", "G", "N", "A", "GNA")}
    wanted |= {("face", "random"), ("voice", "random")}
    scenes = {("validation", "unseen_unheard"), ("test", "unseen_unheard"), ("test", "seen_heard")}
    assert set(lists.groups) == {scene + task for scene in scenes for task in wanted}
    for _, trials in lists:
        assert trials["label"].mean() == 0.5
        assert trials["position"].tolist() == list(range(len(trials)))
        assert (trials["label"].to_numpy() == 1 - trials["position"].to_numpy() % 2).all()


def test_identities_of_the_splits_are_disjoint_and_trials_keep_to_theirs(
    corpus: Tables, protocol: ProtocolTables
) -> None:
    people = protocol.identities.set_index("identity")
    assert people.index.is_unique
    trained = set(corpus.faces["identity"].iloc[protocol.train_pairs["face_row"]])
    assert trained == set(people.index[people["split"] == "train"])
    due = {("validation", "unseen_unheard"): "validation", ("test", "unseen_unheard"): "test"}
    for (subset, regime, task), trials in protocol.verification.groupby(["subset", "regime", "task"]):
        for side in rows_of(corpus, task, trials):
            assert set(people.loc[side["identity"], "split"]) == {due.get((subset, regime), "train")}


def test_labels_and_names_agree_with_the_rows(corpus: Tables, protocol: ProtocolTables) -> None:
    for task, trials in protocol.verification.groupby("task"):
        left, right = rows_of(corpus, task, trials)
        assert (left["identity"].to_numpy() == trials["left_identity"].to_numpy()).all()
        assert (right["identity"].to_numpy() == trials["right_identity"].to_numpy()).all()
        assert ((left["identity"] == right["identity"]).to_numpy() == (trials["label"] == 1).to_numpy()).all()


def test_genuine_trials_pair_two_recordings(corpus: Tables, protocol: ProtocolTables) -> None:
    genuine = protocol.verification[protocol.verification["label"] == 1]
    for task, trials in genuine.groupby("task"):
        left, right = rows_of(corpus, task, trials)
        assert (left["clip"] != right["clip"]).all()


@pytest.mark.parametrize(("criterion", "shared"), [("G", ["gender"]), ("N", ["nationality"]), ("A", ["age"])])
def test_impostors_share_what_the_criterion_asks(protocol: ProtocolTables, criterion: str, shared: list[str]) -> None:
    people = protocol.identities.set_index("identity")
    trials = protocol.verification[protocol.verification["criterion"].isin([criterion, "GNA"])]
    impostors = trials[trials["label"] == 0]
    left, right = people.loc[impostors["left_identity"]], people.loc[impostors["right_identity"]]
    for column in shared:  # the two ages of this corpus lie in two bins
        assert (left[column].to_numpy() == right[column].to_numpy()).all()


def test_random_impostors_share_nothing_in_particular(protocol: ProtocolTables) -> None:
    people = protocol.identities.set_index("identity")
    trials = protocol.verification.query("criterion == 'random' and label == 0")
    same = people.loc[trials["left_identity"], "gender"].array == people.loc[trials["right_identity"], "gender"].array
    assert 0.3 < np.mean(same) < 0.6


def test_no_recording_is_both_trained_on_and_tried(corpus: Tables, protocol: ProtocolTables) -> None:
    pairs = protocol.train_pairs
    trained = set(corpus.faces["clip"].iloc[pairs["face_row"]]) | set(corpus.voices["clip"].iloc[pairs["voice_row"]])
    for task, trials in protocol.verification.groupby("task"):
        for side in rows_of(corpus, task, trials):
            assert not trained & set(side["clip"])
    held = {
        clip
        for clip in corpus.manifest["clip"]
        if clip.split("/")[0] in set(protocol.identities.query("split == 'train'")["identity"])
    } - trained
    assert len(held) == 2 * protocol.classes  # a third of six


def test_training_pairs_are_one_persons_and_evenly_spread(corpus: Tables, protocol: ProtocolTables) -> None:
    pairs = protocol.train_pairs
    faces, voices = corpus.faces.iloc[pairs["face_row"]], corpus.voices.iloc[pairs["voice_row"]]
    assert (faces["identity"].to_numpy() == voices["identity"].to_numpy()).all()
    assert not pairs.duplicated(["face_row", "voice_row"]).any()
    classes = protocol.identities.set_index("identity")["class_index"]
    assert (classes[faces["identity"]].to_numpy() == pairs["class_index"].to_numpy()).all()
    assert set(pairs["class_index"].value_counts()) == {48}  # 12 faces and 4 voices give just that
    assert set(pairs["face_row"].value_counts()) == {4} and set(pairs["voice_row"].value_counts()) == {12}


@pytest.mark.parametrize("task", ["f2v", "v2f", "f2f", "v2v"])
def test_galleries_hold_one_genuine_and_distinct_others(corpus: Tables, protocol: ProtocolTables, task: str) -> None:
    stores = {"f": corpus.faces, "v": corpus.voices}
    probes, gallery = stores[task[0]], stores[task[2]]
    lists = protocol.galleries("test", "unseen_unheard", task)
    assert len(lists) == 100
    for row in lists.itertuples():
        assert probes["identity"][row.probe_row] == gallery["identity"][row.genuine_row] == row.probe_identity
        assert probes["clip"][row.probe_row] != gallery["clip"][row.genuine_row]
        others = set(gallery["identity"].iloc[row.impostor_rows])
        assert len(others) == len(row.impostor_rows) == 9 and row.probe_identity not in others
    probes_per_person = lists["probe_identity"].value_counts()
    assert len(probes_per_person) == 15 and probes_per_person.max() - probes_per_person.min() <= 1


def test_another_criterion_changes_no_other_list(corpus: Tables, protocol: ProtocolTables) -> None:
    fewer = built(corpus, settings(trials=400, galleries=100, criteria=["random", "A"]))
    kept = protocol.verification[protocol.verification["criterion"].isin(["random", "A"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(fewer.verification, kept)


def test_another_seed_gives_another_protocol(corpus: Tables, protocol: ProtocolTables) -> None:
    other = built(corpus, settings(trials=400, galleries=100, seed=1))
    assert not other.verification.equals(protocol.verification)


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
