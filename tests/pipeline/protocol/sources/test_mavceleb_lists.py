"""The protocol of MAV-Celeb's lists, in the forms of its four versions."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError, ProtocolError
from pipeline.manifest.mavceleb_paths import ANONYMOUS, Place, place_of
from pipeline.protocol.tables import ProtocolTables, read_protocol, write_protocol
from pipeline.protocol.vocabulary import NO_SPLIT
from tests.pipeline.protocol.corpora import built, settings
from tests.pipeline.protocol.sources.mavceleb import (
    CLIPS,
    LANGUAGES,
    PEOPLE,
    TRACKS,
    TRIALS,
    Released,
    corpus_of,
    write_lists,
)

SOURCE = settings(source="mavceleb_lists", trials=200, galleries=20, validation_ratio=0.25, test_ratio=0.25)


def protocol_of(released: Released, lists: Path | None = None, **changes: object) -> ProtocolTables:
    return built(corpus_of(released), SOURCE.model_copy(update=changes), lists or released.folder)


@pytest.mark.parametrize(
    ("path", "place"),
    [  # the first lines of the released lists and folders
        (
            "id0001/English/A8Ch7gJalls/00000.wav",
            Place("id0001/English/A8Ch7gJalls/00000", "English", "id0001", "id0001/A8Ch7gJalls"),
        ),
        (
            "faces/id0001/Hindi/jaxuNMA3NhA/0005825.jpg",
            Place("id0001/Hindi/jaxuNMA3NhA/0005825", "Hindi", "id0001", "id0001/jaxuNMA3NhA"),
        ),
        ("voices/English/00000.wav", Place("English/00000", "English", None, None)),
        (
            "train_set/voices/English/id028/00000.wav",
            Place("English/id028/00000", "English", "id028", "id028/00000"),
        ),
        ("dev_set/gender/Bangla_test/faces/00000.jpg", Place("Bangla/00000", "Bangla", None, None, "gender")),
        ("no_gender/voices/Bangla/00001.wav", Place("Bangla/00001", "Bangla", None, None, "no_gender")),
        ("id0001/photo.jpg", None),
        ("voices/00000.wav", None),
        ("English/id028/00000.wav", None),
        ("voices/English/id028/00000", None),
    ],
)
def test_paths_of_the_four_versions_say_language_person_and_recording(path: str, place: Place | None) -> None:
    assert place_of(path) == place


@pytest.mark.parametrize("version", list(LANGUAGES))
def test_every_training_line_of_a_person_who_trains_is_a_pair_in_its_language(tmp_path: Path, version: str) -> None:
    released = write_lists(tmp_path, version)
    tables, corpus = protocol_of(released), corpus_of(released)
    split = tables.identities.set_index("identity")["split"]
    pairs = tables.train_pairs
    heard = LANGUAGES[version][:1] if version == "v4" else LANGUAGES[version]
    assert sorted(pairs["language"].unique()) == sorted(heard)
    trained = split[split == "train"]
    assert len(pairs) == len(trained) * CLIPS * len(heard)
    voices, faces = corpus.voices.iloc[pairs["voice_row"]], corpus.faces.iloc[pairs["face_row"]]
    assert (voices["identity"].to_numpy() == faces["identity"].to_numpy()).all()
    assert set(voices["identity"]) == set(trained.index)
    if version != "v4":
        lines = (released.folder / f"{heard[0]}_train.txt").read_text().split("\n")
        written = {f"voices/{line.split()[0]}": f"faces/{line.split()[1]}" for line in lines if line}
        for voice, face in zip(voices["item"], faces["item"], strict=True):
            assert voice not in written or written[voice] == face


@pytest.mark.parametrize("version", list(LANGUAGES))
def test_released_trials_keep_keys_and_order_and_find_the_media_of_their_own_track(
    tmp_path: Path, version: str
) -> None:
    released = write_lists(tmp_path, version)
    tables, corpus = protocol_of(released), corpus_of(released)
    trials = tables.challenge[tables.challenge["origin"] == "released"]
    assert set(trials["language"]) == set(LANGUAGES[version])
    assert set(trials["track"]) == ({*TRACKS} if version == "v4" else {"no_gender"})
    assert trials["label"].isna().all()
    for (track, language), own in trials.groupby(["track", "language"]):
        folder = released.folder / (track if version == "v4" else "")
        lines = [line.split() for line in (folder / f"{language}_test.txt").read_text().splitlines()]
        assert own["key"].tolist() == [line[0] for line in lines]
        for side, index, column in (("left", corpus.voices, 1), ("right", corpus.faces, 2)):
            items = index["item"].iloc[own[f"{side}_row"]].tolist()
            assert [item.split("/")[-1] for item in items] == [line[column].split("/")[-1] for line in lines]
            assert all((f"/{track}/" in item) == (version == "v4") for item in items)
            assert all(language in item for item in items)


def test_truth_in_any_order_labels_the_trials(tmp_path: Path) -> None:
    for version in ("v3", "v4"):
        trials = protocol_of(write_lists(tmp_path, version, truth=True)).challenge.query("origin == 'released'")
        assert trials["label"].tolist() == (1 - trials["position"] % 2).tolist()


def test_people_are_of_one_split_in_all_languages_and_anonymous_samples_of_none(tmp_path: Path) -> None:
    tables = protocol_of(write_lists(tmp_path, "v1"))
    split = tables.identities.set_index("identity")["split"]
    counts = split.value_counts()
    assert (counts["validation"], counts["test"], counts["train"]) == (4, 4, PEOPLE - 8)
    anonymous = split.index.str.startswith(ANONYMOUS)
    assert (split[anonymous] == NO_SPLIT).all() and anonymous.sum() == 2 * 2 * TRIALS == tables.summary["anonymous"]


def test_own_trials_are_within_a_language_of_people_who_do_not_train(tmp_path: Path) -> None:
    released = write_lists(tmp_path, "v2")
    tables, corpus = protocol_of(released), corpus_of(released)
    own = tables.challenge[tables.challenge["origin"] == "own"]
    people = tables.identities.set_index("identity")
    names = {(s, t, lang) for s in ("validation", "test") for t in TRACKS for lang in LANGUAGES["v2"]}
    assert set(own.groupby(["subset", "track", "language"]).groups) == names
    for (subset, track, language), trials in own.groupby(["subset", "track", "language"]):
        for index, side in ((corpus.voices, "left"), (corpus.faces, "right")):
            assert index["item"].iloc[trials[f"{side}_row"]].str.contains(f"/{language}/").all()
            assert (people.loc[trials[f"{side}_identity"], "split"] == subset).all()
        impostors = trials[trials["label"] == 0]
        genders = [people.loc[impostors[f"{side}_identity"], "gender"].to_numpy() for side in ("left", "right")]
        assert (genders[0] == genders[1]).all() or track == "no_gender"
        assert trials["label"].mean() == 0.5


def test_no_own_test_people_are_taken_where_the_settings_want_none(tmp_path: Path) -> None:
    tables = protocol_of(write_lists(tmp_path, "v4"), test_ratio=0.0)
    assert not (tables.challenge.query("origin == 'own'")["subset"] == "test").any()
    assert (tables.identities["split"] == "train").sum() == PEOPLE - 4


def test_the_tables_survive_writing_and_reading(tmp_path: Path) -> None:
    tables = protocol_of(write_lists(tmp_path, "v4", truth=False))
    write_protocol(tmp_path / "protocol", tables)
    read = read_protocol(tmp_path / "protocol")
    pd.testing.assert_frame_equal(read.challenge, tables.challenge)
    pd.testing.assert_frame_equal(read.train_pairs, tables.train_pairs)


def test_a_folder_of_several_versions_is_asked_for_one_and_a_folder_of_one_is_read(tmp_path: Path) -> None:
    first = write_lists(tmp_path, "v1")
    assert protocol_of(first, tmp_path).summary["version"] == "v1"
    write_lists(tmp_path, "v2")
    with pytest.raises(ConfigError, match=r"holds v1, v2: name one, such as .*v1"):
        protocol_of(first, tmp_path)
    with pytest.raises(ConfigError, match=r"holds no <Language>_train.txt"):
        protocol_of(first, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("version", "name", "line", "written", "message"),
    [
        ("v1", "English_train.txt", 2, "id0001/English/video_0_Eng/00000.wav", r"line 2: 1 fields instead of 2 or 6"),
        (
            "v1",
            "Urdu_train.txt",
            1,
            "id0001/Urdu/video_0_Urd/00000.wav id0002/Urdu/video_1_Urd/0000775.jpg",
            r"Urdu_train.txt line 1: of id0001 and id0002, not of one person",
        ),
        (
            "v1",
            "Urdu_train.txt",
            1,
            "id0001/English/video_0_Eng/00000.wav id0001/Urdu/video_1_Urd/0000775.jpg",
            r"line 1: media in English, in a list of Urdu",
        ),
        (
            "v1",
            "English_train.txt",
            3,
            "voices/English/00000.wav faces/English/00000.jpg",
            r"line 3.*must name its per",
        ),
        (
            "v1",
            "English_test.txt",
            2,
            "en00000 voices/English/00001.wav faces/English/00001.jpg",
            r"that of line 1, too",
        ),
        ("v1", "English_test.txt", 4, "en00003 voices/English/00003.wav", r"line 4: 2 fields instead of 3"),
        ("v1", "English_test.txt", 4, "en00003 voices/Urdu/00003.wav faces/English/00003.jpg", r"media in Urdu"),
        ("v1", "English_test.txt", 4, "en00003 00003.wav faces/English/00003.jpg", r"'00003.wav' is no path of MAV"),
        (
            "v1",
            "English_test.txt",
            4,
            "en00003 faces/English/00003.jpg voices/English/00003.wav",
            r"line 4: 'faces/English/00003.jpg' is no voice; the voice comes first",
        ),
        (
            "v1",
            "English_test.txt",
            4,
            "en00003 voices/English/00003.wav voices/English/00003.wav",
            r"line 4: 'voices/English/00003.wav' is no face",
        ),
        (
            "v1",
            "English_test.txt",
            4,
            "en00003 id0001/English/video_0_Eng/00000.wav id0002/English/video_1_Eng/0000775.jpg",
            r"line 4: names id0001, and a test list is anonymous",
        ),
        (
            "v1",
            "Urdu_train.txt",
            1,
            "id0001/Urdu/video_1_Urd/0000775.jpg id0001/Urdu/video_0_Urd/00000.wav",
            r"line 1: .*0000775.jpg' is no voice",
        ),
        (
            "v4",
            "train_English.txt",
            1,
            "key 0 voices/English/id001/00000.wav faces/English/id001/00000.jpg id001 0",
            r"line 1: a training pair is labelled 1, found '0'",
        ),
        (
            "v4",
            "train_English.txt",
            1,
            "key 1 voices/English/id001/00000.wav faces/English/id001/00000.jpg id002 1",
            r"line 1: of id001 and id002",
        ),
        ("v4", "ground_truth/English_test_gender.txt", 1, "eng00005 2", r"line 1: a label is 0 or 1, found '2'"),
        ("v4", "ground_truth/English_test_gender.txt", 1, "other 1", r"lacks key 'eng00005' \(2 such\)"),
        ("v4", "ground_truth/English_test_gender.txt", 2, "eng00005 0", r"line 2: key 'eng00005' is there twice"),
    ],
)
def test_lines_that_cannot_be_right_are_refused_by_file_and_line(
    tmp_path: Path, version: str, name: str, line: int, written: str, message: str
) -> None:
    released = write_lists(tmp_path, version, truth=True)
    path = released.folder / name
    lines = path.read_text().splitlines()
    lines[line - 1] = written
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ProtocolError, match=message) as refused:
        protocol_of(released)
    assert path.name in str(refused.value)


def test_a_training_pair_that_is_there_twice_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    released = write_lists(tmp_path, "v3")
    path = released.folder / "German_train.txt"
    lines = path.read_text().splitlines()
    before = len(protocol_of(released).train_pairs)
    path.write_text("\n".join([*lines, "", lines[0]]) + "\n")
    assert len(protocol_of(released).train_pairs) == before
    assert f"German_train.txt line {len(lines) + 2} is line 1 again" in caplog.text


def test_lines_in_another_order_give_the_same_pairs(tmp_path: Path) -> None:
    released = write_lists(tmp_path, "v3")
    path = released.folder / "German_train.txt"
    before = protocol_of(released).train_pairs
    path.write_text("\n".join(reversed(path.read_text().splitlines())) + "\n")
    after = protocol_of(released).train_pairs
    assert not after.equals(before)
    keys = list(before)
    pd.testing.assert_frame_equal(
        after.sort_values(keys, ignore_index=True), before.sort_values(keys, ignore_index=True)
    )


def test_media_that_a_list_names_and_the_stores_lack_are_named_counted_and_above_the_ratio_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    released = write_lists(tmp_path, "v1")
    gone = "voices/English/00002.wav"
    without = Released(released.folder, {path: name for path, name in released.media.items() if path != gone})
    tables = protocol_of(without, max_skip_ratio=0.2)
    trials = tables.challenge.query("origin == 'released' and language == 'English'")
    assert trials["left_row"].tolist()[2] == -1 and (trials["right_row"] >= 0).all() and len(trials) == TRIALS
    line = tables.coverage.set_index("list").loc["challenge/test/released/English/no_gender"]
    assert line["missing_items"] == 1 and "voice English/00002" in line["reason"]
    with pytest.raises(ProtocolError, match=r"1 of 6 rows .*voice English/00002, more than protocol.max_skip_ratio"):
        protocol_of(without, max_skip_ratio=0.1)


def test_people_of_the_media_whom_no_list_names_are_said_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    released = write_lists(tmp_path, "v1")
    more = {"voices/id0099/English/video_0_Eng/00000.wav": "id0099", "faces/id0099/English/video_0_Eng/1.jpg": "id0099"}
    tables = protocol_of(Released(released.folder, {**released.media, **more}))
    assert tables.identities.set_index("identity").loc["id0099", "split"] == NO_SPLIT
    assert "1 people of the media are in no training list and not used, such as id0099" in caplog.text
    assert not np.isin("id0099", tables.challenge[["left_identity", "right_identity"]])


@pytest.mark.parametrize(
    ("version", "more", "message"),
    [
        (
            "v4",
            "eval_set/gender/English_test/voices/00000.wav",
            r"^dev_set/gender/English_test/voices/00000.wav and eval_set/.* are one to the lists: keep the",
        ),
        ("v1", "voices/English/00000.flac", r"voices/English/00000.(flac|wav) and .* are one to the lists"),
        (
            "v1",
            "other/voices/id0001/English/another/00000.wav",
            r"id0001 has media in English below both other/voices/ and voices/: two versions",
        ),
    ],
)
def test_media_that_the_names_of_a_list_do_not_tell_apart_are_refused(
    tmp_path: Path, version: str, more: str, message: str
) -> None:
    released = write_lists(tmp_path, version)
    with pytest.raises(ProtocolError, match=message):
        protocol_of(Released(released.folder, {**released.media, more: "somebody"}))


def test_media_of_a_track_are_not_those_of_the_other_track_that_are_named_alike(tmp_path: Path) -> None:
    released = write_lists(tmp_path, "v4")
    moved = {path.replace("dev_set/gender/", "dev_set/"): name for path, name in released.media.items()}
    unnamed = {path: name for path, name in moved.items() if "no_gender" not in path}
    with pytest.raises(ProtocolError, match=r"released/Bangla/gender: 6 of 6 rows .* not in the stores"):
        protocol_of(Released(released.folder, moved))
    for language in LANGUAGES["v4"]:
        (released.folder / "no_gender" / f"{language}_test.txt").unlink()
    trials = protocol_of(Released(released.folder, unnamed)).challenge.query("origin == 'released'")
    assert (trials[["left_row", "right_row"]] >= 0).all(axis=None) and set(trials["track"]) == {"gender"}


def test_two_lists_of_one_language_and_track_are_refused(tmp_path: Path) -> None:
    released = write_lists(tmp_path, "v4")
    (released.folder / "English_test.txt").write_text((released.folder / "no_gender/English_test.txt").read_text())
    with pytest.raises(ProtocolError, match=r"v4/English_test.txt and .*no_gender/English_test.txt are both the list"):
        protocol_of(released)
    (released.folder / "English_test.txt").unlink()
    (released.folder / "English_train.txt").write_text("")
    with pytest.raises(ConfigError, match=r"English_train.txt and .*train_English.txt are both the training list"):
        protocol_of(released)


def test_lists_in_a_folder_that_names_no_version_are_refused(tmp_path: Path) -> None:
    released = write_lists(tmp_path, "v3")
    renamed = released.folder.rename(tmp_path / "german")
    with pytest.raises(ConfigError, match=r"its name does not say of which version: call it v1, v2"):
        protocol_of(Released(renamed, released.media))


def test_own_impostors_can_be_asked_to_speak_the_same_language(tmp_path: Path) -> None:
    released = write_lists(tmp_path, "v2")
    corpus = corpus_of(released)
    tables = protocol_of(released, criteria=["random", "L"])
    language = corpus.manifest.set_index("item")["language"]
    for criterion, shared in (("L", True), ("random", False)):
        trials = tables.trials("test", "unseen_unheard", "cross_modal", criterion)
        spoken = [
            language[index["item"].iloc[trials[f"{side}_row"]]].to_numpy()
            for index, side in ((corpus.voices, "left"), (corpus.faces, "right"))
        ]
        assert len(trials) and (spoken[0] == spoken[1]).all() == shared
        assert set(spoken[0]) == set(LANGUAGES["v2"])


def test_an_utterance_that_a_person_has_under_several_names_is_in_own_trials_under_one(tmp_path: Path) -> None:
    released = write_lists(tmp_path, "v4")
    parts = corpus_of(released)
    parts.voices["digest"] = parts.voices["item"].str.replace("/00002.wav", "/00001.wav")
    tables = built(parts, SOURCE, released.folder)
    rows = pd.concat([*(tables.verification.query("task == 'voice'")[f"{side}_row"] for side in ("left", "right"))])
    rows = pd.concat([rows, tables.challenge.query("origin == 'own'")["left_row"]])
    used = parts.voices["item"].iloc[rows]
    assert used.str.endswith("/00001.wav").any() and not used.str.endswith("/00002.wav").any()
    trained = parts.voices["item"].iloc[tables.train_pairs["voice_row"]]
    assert trained.str.endswith("/00002.wav").any(), "a training list is as it is"


def test_a_language_that_nobody_kept_from_training_speaks_is_absent_with_a_reason_and_others_are_as_they_were(
    tmp_path: Path,
) -> None:
    coverage = protocol_of(write_lists(tmp_path, "v4")).coverage.set_index("list")["reason"]
    assert (
        coverage["challenge/validation/own/Bangla/no_gender"] == "absent: 0 identities have rows for it; two are needed"
    )
    released = write_lists(tmp_path, "v1")
    parts, before = corpus_of(released), protocol_of(released).challenge
    parts.voices["digest"] = parts.voices["item"].str.replace("Urdu", "English").str.replace("_Urd", "_Eng")
    tables = built(parts, SOURCE, released.folder)
    pd.testing.assert_frame_equal(tables.challenge, before)


def test_a_truth_that_is_named_like_no_list_is_said_to_do_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    released = write_lists(tmp_path, "v4", truth=True)
    protocol_of(released)
    assert "truth of no list" not in caplog.text
    truths = released.folder / "ground_truth"
    (truths / "Bangla_test_gender.txt").rename(truths / "Bangla_test.txt")
    tables = protocol_of(released)
    assert "Bangla_test.txt is the truth of no list here" in caplog.text
    withheld = tables.challenge[tables.challenge["label"].isna()]
    assert set(zip(withheld["language"], withheld["track"], strict=True)) == {("Bangla", "gender")}
