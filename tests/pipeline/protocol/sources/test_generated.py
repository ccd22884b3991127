"""Generated protocols on corpora of all kinds."""

import numpy as np
import pandas as pd
import pytest

from pipeline.protocol.tables import ProtocolTables
from tests.pipeline.protocol.corpora import Tables, built, galleries, settings, tables


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
    conditions = {("validation", "unseen_unheard"), ("test", "unseen_unheard"), ("test", "seen_heard")}
    assert set(lists.groups) == {condition + task for condition in conditions for task in wanted}
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
    wanted = {("validation", "unseen_unheard"): "validation", ("test", "unseen_unheard"): "test"}
    for (subset, regime, task), trials in protocol.verification.groupby(["subset", "regime", "task"]):
        for side in rows_of(corpus, task, trials):
            assert set(people.loc[side["identity"], "split"]) == {wanted.get((subset, regime), "train")}


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
    lists = galleries(protocol, task)
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


def test_clips_of_one_person_with_the_same_bytes_are_one_recording(corpus: Tables) -> None:
    """Clip 1 is a copy of clip 0, and half of clip 3 (one of its frames) one of clip 1's bytes."""

    def copied(index: pd.DataFrame) -> pd.DataFrame:
        digest = index["digest"].str.replace("/1.mp4", "/0.mp4")
        again = index["item"].str.endswith("/3.mp4") & (index["frame"] <= 0)
        return index.assign(digest=digest.mask(again, index["identity"] + "/0.mp4"))

    parts = Tables(corpus.manifest, copied(corpus.faces), copied(corpus.voices))
    read = parts.corpus()
    assert len(read.clips) == 60 * 4 and set(read.clips["clip"].str[-5]) == {"0", "2", "4", "5"}
    made = built(parts, settings(trials=400, galleries=100))
    of_clip = {"0": "0", "1": "0", "3": "0", "2": "2", "4": "4", "5": "5"}
    for task in ("face", "voice"):
        trials = made.verification[(made.verification["task"] == task) & (made.verification["label"] == 1)]
        left, right = (side["clip"].str[-5].map(of_clip) for side in rows_of(parts, task, trials))
        assert len(trials) and (left != right).all()
    heard = made.verification[made.verification["regime"] == "seen_heard"]
    trained = parts.faces.iloc[made.train_pairs["face_row"]]
    tested = pd.concat([rows_of(parts, task, rows)[1] for task, rows in heard.groupby("task") if task != "voice"])
    assert not set(trained["digest"]) & set(tested["digest"])


def test_people_may_hold_the_same_bytes_without_sharing_a_recording(corpus: Tables) -> None:
    same = Tables(corpus.manifest, corpus.faces.assign(digest=corpus.faces["clip"].str[-5]), corpus.voices)
    assert len(same.corpus().clips) == 60 * 6
