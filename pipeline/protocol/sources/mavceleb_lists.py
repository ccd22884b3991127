"""A protocol from the lists of MAV-Celeb's challenges (FAME 2024, FAME 2026, FLAG 2027): one version, of v1 to v4.

Lists, in the folder of a version (mavceleb/mavceleb_baseline for v1 to v3, FLAG 2027's baseline for v4):
`<Language>_train.txt` or `train_<Language>.txt` pairs a voice and a face of one person a line; `<Language>_test.txt`,
in v4 one each in gender/ and no_gender/, holds anonymous trials `key voice face`. Truth is withheld; where the user has
it, `ground_truth/<Language>_test.txt` or `<Language>_test_<track>.txt` holds `key 1|0`.

The lists have no labelled trials to choose a model on, and none to measure it on. So people are taken out of training
for own trials in each language, with and without impostors of the same gender: `validation_ratio` and `test_ratio` of
those whom the lists train on, so that nobody of a trial trains in any language.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError, ProtocolError
from pipeline.manifest.mavceleb_paths import ANONYMOUS, Place, place_of, shown_in
from pipeline.protocol.assemble import Splits, assemble
from pipeline.protocol.corpus import Corpus, Flags, IntArray, read_corpus
from pipeline.protocol.galleries import matching_lists
from pipeline.protocol.sources import Draft, Inputs, register
from pipeline.protocol.splits import assign_splits, class_indexes
from pipeline.protocol.tables import CoveredList, shaped
from pipeline.protocol.trials import TrialCondition, unseen_condition, verification_list, verification_lists
from pipeline.protocol.vocabulary import CHALLENGE_TRACKS, CROSS_MODAL, NO_SPLIT, Modality
from pipeline.settings import ProtocolSettings

SOURCE = "mavceleb_lists"
VERSIONS = ("v1", "v2", "v3", "v4")
_VERSION = re.compile(r"v\d+")
_PLAIN = "no_gender"  # the track of a list that is in no folder of a track
_SHOWN = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainLine:
    """A voice and a face of one person."""

    language: str
    voice: Place
    face: Place


@dataclass(frozen=True)
class TestList:
    """Anonymous trials of one language and track, in the order of their file."""

    path: Path
    language: str
    track: str
    trials: pd.DataFrame  # key, voice, face (Place.key each), label (Int64; null: withheld)


@dataclass(frozen=True)
class Finder:
    """Rows of one store by what a list says of a medium."""

    rows: Mapping[tuple[str, str], int]  # (track or "", key) -> first row

    def find(self, key: str, tracks: Sequence[str] = ("",)) -> int:
        """The row of a medium in a folder of the first of `tracks` that has it; -1 where the store has none."""
        return next((self.rows[track, key] for track in tracks if (track, key) in self.rows), -1)


@register(SOURCE)
def import_challenge(inputs: Inputs, settings: ProtocolSettings) -> Draft:
    """Training pairs and anonymous test trials of the lists, and own trials of people kept from training.

    Raises ConfigError where the folder of the lists holds several versions or none, ProtocolError for a line that
    cannot be right (named), for people of two lines, where two media are what one line names, and where more than
    `max_skip_ratio` of a list's lines name media that are not in the stores.
    """
    folder = version_folder(inputs.folder)
    training, tests = read_train_lists(folder), read_test_lists(folder)
    _refuse_ambiguous(inputs.manifest["item"])
    corpus = read_corpus(inputs.manifest, inputs.faces, inputs.voices)
    finders: dict[Modality, Finder] = {
        "face": _finder(inputs.faces, "face"),
        "voice": _finder(inputs.voices, "voice"),
    }
    pairs, lists = _training_pairs(training, finders, corpus, settings)
    split = _splits(corpus, pairs, settings)
    trains = split == "train"
    pairs = pairs[trains[corpus.voices.person[pairs["voice_row"]]]]
    pairs = pairs.assign(class_index=class_indexes(trains)[corpus.voices.person[pairs["voice_row"]]])
    lists += [_released(one, tests, finders, corpus, settings) for one in tests]
    for subset in ("validation", "test"):
        lists += _own_lists(corpus, subset, split, inputs, settings)
        lists += verification_lists(corpus, _unrepeated(unseen_condition(corpus, subset, split), inputs), settings)
    lists += matching_lists(corpus, _unrepeated(unseen_condition(corpus, "test", split), inputs), settings)
    held_out: Flags = np.zeros(len(corpus.clips), dtype=np.bool_)
    tables = assemble(corpus, Splits(split, trains, held_out), lists, shaped("train_pairs", pairs), settings)
    counts = {"anonymous": int(corpus.people["identity"].str.startswith(ANONYMOUS).sum())}
    languages = sorted({one.language for one in training} | {one.language for one in tests})
    summary = {**tables.summary, **counts, "version": folder.name, "languages": languages}
    return Draft(replace(tables, summary=summary), corpus, held_out)


def version_folder(folder: Path) -> Path:
    """The folder of the lists, or the one version in it; raises ConfigError where that is not one.

    The folder's name is the version: files of a submission and published figures go by it.
    """
    if _train_files(folder):
        if not _VERSION.fullmatch(folder.absolute().name):
            raise ConfigError(
                f"protocol.lists: {folder} holds lists, and its name does not say of which version: call it v1, v2, ..."
            )
        return folder.absolute()
    found = [folder / name for name in VERSIONS if (folder / name).is_dir()]
    if len(found) != 1:
        what = f"holds {', '.join(one.name for one in found)}: name one" if found else "holds no <Language>_train.txt"
        raise ConfigError(f"protocol.lists: {folder} {what}, such as {folder / 'v1'}")
    if not _train_files(found[0]):
        raise ConfigError(f"protocol.lists: {found[0]} holds neither <Language>_train.txt nor train_<Language>.txt")
    return found[0]


def _train_files(folder: Path) -> dict[str, Path]:
    """Training lists by language."""
    files = {path.name.removesuffix("_train.txt"): path for path in sorted(folder.glob("?*_train.txt"))}
    others = {path.stem.removeprefix("train_"): path for path in sorted(folder.glob("train_?*.txt"))}
    if both := sorted(files.keys() & others.keys()):
        raise ConfigError(f"{files[both[0]]} and {others[both[0]]} are both the training list of {both[0]}: keep one")
    return files | others


def read_train_lists(folder: Path) -> list[TrainLine]:
    """Every training pair, in the order of the files; a pair that is there twice counts once, with a warning.

    A line is `voice face` or, in version 4, `key 1 voice face identity number`. Raises ProtocolError for another line,
    and for one whose voice and face are of two people, of another person than it says or of another language than its
    file's.
    """
    lines = []
    for language, path in _train_files(folder).items():
        seen: dict[tuple[str, str], int] = {}
        for number, fields in _lines(path, (2, 6)):
            voice, face = (
                _place(fields[-2 if len(fields) == 2 else 2], "voice", path, number),
                _place(fields[-1 if len(fields) == 2 else 3], "face", path, number),
            )
            _refuse_train_line(path, number, fields, language, voice, face)
            if (first := seen.setdefault((voice.key, face.key), number)) != number:
                logger.warning("%s line %d is line %d again: it counts once", path, number, first)
                continue
            lines.append(TrainLine(language, voice, face))
    return lines


def _refuse_train_line(path: Path, number: int, fields: list[str], language: str, voice: Place, face: Place) -> None:
    if voice.identity is None or face.identity is None:
        raise ProtocolError(f"{path} line {number}: a training path must name its person: {' '.join(fields)!r}")
    named = {voice.identity, face.identity} | ({fields[4]} if len(fields) == 6 else set())
    if len(named) > 1:
        raise ProtocolError(f"{path} line {number}: of {' and '.join(sorted(named))}, not of one person")
    if len(fields) == 6 and fields[1] != "1":
        raise ProtocolError(f"{path} line {number}: a training pair is labelled 1, found {fields[1]!r}")
    if other := {voice.language, face.language} - {language}:
        raise ProtocolError(f"{path} line {number}: media in {', '.join(sorted(other))}, in a list of {language}")


def read_test_lists(folder: Path) -> list[TestList]:
    """Every list of anonymous trials, with its truth where that is there.

    Raises ProtocolError for a line that is not `key voice face`, for one that names people, for a key that is there
    twice, for two lists of one language and track, and for a truth whose keys are not the list's.
    """
    found: list[TestList] = []
    truths: list[Path] = []
    places: dict[tuple[str, str], Path] = {}
    for track, below in (("", folder), *((track, folder / track) for track in CHALLENGE_TRACKS)):
        for path in sorted(below.glob("?*_test.txt")):
            language = path.name.removesuffix("_test.txt")
            if (first := places.setdefault((language, track or _PLAIN), path)) != path:
                raise ProtocolError(f"{first} and {path} are both the list of {language} with any impostors: keep one")
            table = _read_trials(path, language)
            table["label"] = _truth(folder / "ground_truth", path, language, track, table["key"])
            found.append(TestList(path, language, track or _PLAIN, table))
            truths += _truth_files(folder / "ground_truth", language, track)
    if idle := sorted(set((folder / "ground_truth").rglob("*.txt")) - set(truths)):
        logger.warning("%s is the truth of no list here, by its name; lists without a truth are not measured", idle[0])
    return found


def _truth_files(folder: Path, language: str, track: str) -> list[Path]:
    """What the truth of a list may be called; `track` is empty for a list in no folder of a track."""
    names = [f"{language}_test_{track or _PLAIN}.txt", *([] if track else [f"{language}_test.txt"])]
    return [folder / name for name in names]


def _read_trials(path: Path, language: str) -> pd.DataFrame:
    rows: list[tuple[str, str, str]] = []
    seen: dict[str, int] = {}
    for number, (key, voice, face) in _lines(path, (3,)):
        if (first := seen.setdefault(key, number)) != number:
            raise ProtocolError(f"{path} line {number}: key {key!r} is that of line {first}, too")
        places = _place(voice, "voice", path, number), _place(face, "face", path, number)
        if named := [place.identity for place in places if place.identity]:
            raise ProtocolError(
                f"{path} line {number}: names {named[0]}, and a test list is anonymous; trials of people of the "
                "training lists are made here: protocol.validation_ratio and test_ratio"
            )
        if other := {place.language for place in places} - {language}:
            raise ProtocolError(f"{path} line {number}: media in {', '.join(sorted(other))}, in a list of {language}")
        rows.append((key, places[0].key, places[1].key))
    return pd.DataFrame(rows, columns=["key", "voice", "face"], dtype="str")


def _truth(folder: Path, listed: Path, language: str, track: str, keys: pd.Series) -> pd.Series:
    """(N,) labels of the keys, null without a file; it may be in any order."""
    path = next((path for path in _truth_files(folder, language, track) if path.is_file()), None)
    if path is None:
        return pd.Series(pd.NA, index=keys.index, dtype="Int64")
    labels: dict[str, int] = {}
    for number, (key, label) in _lines(path, (2,)):
        if label not in ("0", "1"):
            raise ProtocolError(f"{path} line {number}: a label is 0 or 1, found {label!r}")
        if key in labels:
            raise ProtocolError(f"{path} line {number}: key {key!r} is there twice")
        labels[key] = int(label)
    if differing := sorted(set(labels) ^ set(keys)):
        where = listed if differing[0] in labels else path
        raise ProtocolError(f"{where} lacks key {differing[0]!r} ({len(differing)} such): {path} is of another list")
    return keys.map(labels).astype("Int64")


def _lines(path: Path, widths: tuple[int, ...]) -> list[tuple[int, list[str]]]:
    """Line numbers and fields of a list, blank lines left out; raises ProtocolError for another number of fields."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{path} cannot be read ({error}); restore it from the release") from error
    rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for number, fields in rows:
        if len(fields) not in widths:
            wanted = " or ".join(map(str, widths))
            raise ProtocolError(f"{path} line {number}: {len(fields)} fields instead of {wanted}: {' '.join(fields)!r}")
    if not rows:
        raise ProtocolError(f"{path} holds no rows; restore it from the release")
    return rows


def _place(path: str, modality: Modality, listed: Path, number: int) -> Place:
    place = place_of(path)
    if place is None:
        raise ProtocolError(f"{listed} line {number}: {path!r} is no path of MAV-Celeb's")
    if shown_in(path) not in (modality, None):
        raise ProtocolError(f"{listed} line {number}: {path!r} is no {modality}; the voice comes first, then the face")
    return place


def _finder(index: pd.DataFrame, modality: Modality) -> Finder:
    rows: dict[tuple[str, str], int] = {}
    for row, item in enumerate(index["item"]):
        if shown_in(item) in (modality, None) and (place := place_of(item)):
            rows.setdefault((place.track, place.key), row)
    return Finder(rows)


def _refuse_ambiguous(items: pd.Series) -> None:
    """Raise ProtocolError where a line of a list could name two media, or a person's are of two releases.

    Two phases of a challenge, and two versions, call other people's media by the same names.
    """
    seen: dict[tuple[object, ...], str] = {}
    for item in map(str, items):
        if (place := place_of(item)) is None:
            continue
        shown = shown_in(item)
        if (first := seen.setdefault((shown, place.track, place.key), item)) != item:
            raise ProtocolError(
                f"{first} and {item} are one to the lists: keep the media of one version, and of one phase of its "
                "challenge, below manifest.media"
            )
        above = item.rpartition(".")[0].removesuffix(place.key)
        if place.identity and seen.setdefault((shown, place.language, place.identity), above) != above:
            other = seen[shown, place.language, place.identity]
            raise ProtocolError(
                f"{place.identity} has media in {place.language} below both {other or './'} and {above or './'}: two "
                "versions call two people so; keep the media of one version below manifest.media"
            )


def _training_pairs(
    lines: list[TrainLine], finders: Mapping[Modality, Finder], corpus: Corpus, settings: ProtocolSettings
) -> tuple[pd.DataFrame, list[CoveredList]]:
    """Pairs whose two media are in the stores, and what coverage says of each language."""
    table = pd.DataFrame(
        {
            "voice_row": [finders["voice"].find(line.voice.key) for line in lines],
            "face_row": [finders["face"].find(line.face.key) for line in lines],
            "language": [line.language for line in lines],
        }
    )
    names = pd.DataFrame({"voice": [line.voice.key for line in lines], "face": [line.face.key for line in lines]})
    covered = []
    for language in sorted(set(table["language"])):
        chosen = (table["language"] == language).to_numpy()
        sides = {side: (table[f"{side}_row"].to_numpy()[chosen], names[side][chosen]) for side in ("voice", "face")}
        usable = table[chosen & (table[["voice_row", "face_row"]] >= 0).all(axis=1).to_numpy()]
        covered.append(_covered(f"train_pairs/{language}", usable, int(chosen.sum()), sides, settings))
    table = table[(table[["voice_row", "face_row"]] >= 0).all(axis=1)].reset_index(drop=True)
    people = corpus.people["identity"].to_numpy(dtype=object)
    if (corpus.voices.person[table["voice_row"]] != corpus.faces.person[table["face_row"]]).any():
        wrong = table[corpus.voices.person[table["voice_row"]] != corpus.faces.person[table["face_row"]]].iloc[0]
        whose = people[corpus.voices.person[wrong["voice_row"]]], people[corpus.faces.person[wrong["face_row"]]]
        raise ProtocolError(f"the manifest calls one person of a training list {whose[0]!r} and {whose[1]!r}")
    return table, covered


def _covered(
    name: str,
    table: pd.DataFrame,
    rows: int,
    sides: Mapping[str, tuple[IntArray, pd.Series]],
    settings: ProtocolSettings,
    kept: str = "left out",
) -> CoveredList:
    """A list with the media that it lacks; raises ProtocolError where that are too many."""
    missing = sorted({f"{side} {key}" for side, (found, keys) in sides.items() for key in keys[found < 0]})
    lost = int(np.logical_or.reduce([found < 0 for found, _ in sides.values()]).sum())
    if not missing:
        return CoveredList(table, name, rows, "")
    what = f"{lost} of {rows} rows {kept}: media not in the stores, such as {', '.join(missing[:_SHOWN])}"
    if lost > settings.max_skip_ratio * rows:
        raise ProtocolError(
            f"{name}: {what}, more than protocol.max_skip_ratio {settings.max_skip_ratio}; artifacts/faces/skipped.csv "
            "and artifacts/voices/skipped.csv say why media that are there could not be used"
        )
    logger.warning("%s: %s", name, what)
    return CoveredList(table, name, rows, what, len(missing))


def _splits(corpus: Corpus, pairs: pd.DataFrame, settings: ProtocolSettings) -> np.ndarray:
    """(P,) the split of those in a training pair, as `assign_splits` has it; none for all others."""
    listed = np.unique(corpus.voices.person[pairs["voice_row"]])
    split = np.full(len(corpus.people), NO_SPLIT, dtype=object)
    split[listed] = assign_splits(corpus.people.iloc[listed].reset_index(drop=True), settings)
    others = corpus.people["identity"][split == NO_SPLIT]
    if unlisted := sorted(name for name in others if not name.startswith(ANONYMOUS)):
        shown = ", ".join(unlisted[:_SHOWN])
        logger.warning("%d people of the media are in no training list and not used, such as %s", len(unlisted), shown)
    return split


def _unrepeated(condition: TrialCondition, inputs: Inputs) -> TrialCondition:
    """The condition without media that their person has in it under an earlier name, too.

    Version 4 repeats an utterance for each of several faces. `read_corpus` takes these for one recording, so that none
    is a trial with itself; here each is tried once, or the most repeated would count most.
    """

    def once(usable: Flags, index: pd.DataFrame) -> Flags:
        items = index.loc[usable, ["item", "identity", "digest"]].drop_duplicates("item")
        again = items["item"][items.duplicated(["identity", "digest"])]
        return np.asarray(usable & ~index["item"].isin(again).to_numpy(dtype=np.bool_))

    return replace(condition, faces=once(condition.faces, inputs.faces), voices=once(condition.voices, inputs.voices))


def _own_lists(
    corpus: Corpus, subset: str, split: np.ndarray, inputs: Inputs, settings: ProtocolSettings
) -> list[CoveredList]:
    """Labelled trials of people of one split, by language and track; absent ones with the reason."""
    whole, lists = unseen_condition(corpus, subset, split), []
    for code, language in enumerate(corpus.values["language"]):
        faces = whole.faces & (corpus.faces.traits["language"] == code)
        voices = whole.voices & (corpus.voices.traits["language"] == code)
        condition = _unrepeated(replace(whole, faces=faces, voices=voices), inputs)
        for track, criterion in CHALLENGE_TRACKS.items():
            made = verification_list(corpus, condition, CROSS_MODAL, criterion, settings)
            table = made.table.assign(origin="own", language=language, track=track, key="")
            name = f"challenge/{subset}/own/{language}/{track}"
            lists.append(CoveredList(shaped("challenge", table), name, made.rows, made.reason))
    return lists


def _released(
    one: TestList,
    every: Sequence[TestList],
    finders: Mapping[Modality, Finder],
    corpus: Corpus,
    settings: ProtocolSettings,
) -> CoveredList:
    """A list with all its trials: a submission has every key, so that one without media stays, with rows of -1.

    Media in folders without a track are those of a track's list only where its language has no other list.
    """
    folder = one.path.parent.name if one.path.parent.name in CHALLENGE_TRACKS else ""
    alone = sum(other.language == one.language for other in every) == 1
    tracks = (folder, "") if alone else (folder,)
    rows = {
        side: np.array([finders[side].find(key, tracks) for key in one.trials[side]], dtype=np.int64)
        for side in ("voice", "face")
    }
    names = np.array([*corpus.people["identity"], ""], dtype=object)
    table = pd.DataFrame(
        {
            "origin": "released",
            "subset": "test",
            "language": one.language,
            "track": one.track,
            "key": one.trials["key"],
            "left_row": rows["voice"],
            "right_row": rows["face"],
            "label": one.trials["label"],
            "left_identity": names[np.where(rows["voice"] < 0, -1, corpus.voices.person[rows["voice"]])],
            "right_identity": names[np.where(rows["face"] < 0, -1, corpus.faces.person[rows["face"]])],
            "position": np.arange(len(one.trials)),
        }
    )
    sides = {side: (rows[side], one.trials[side]) for side in rows}
    name = f"challenge/test/released/{one.language}/{one.track}"
    return _covered(name, shaped("challenge", table), len(table), sides, settings, "without a score of their own")
