"""artifacts/report/trials.html: one file that needs nothing beside it, from trials.html.j2, with its media inside.

Names and paths are the user's: everything is escaped, the script holds none of them, and a policy in the page lets
nothing but that script run and nothing be fetched.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from pipeline.protocol.vocabulary import CRITERIA
from pipeline.report.page import environment
from pipeline.report.trial_media import Excerpts, Face
from pipeline.report.trials import HardGallery, Sample, WrongTrial

PAGE = "trials.html"
_FOLDER = Path(__file__).parent
_STYLES = ("style.css", "trials.css")
_NOTES = (
    "Unseen-unheard test people. Scores are means over the run's models; a pair is accepted from the threshold on at "
    "which wrong accepts and wrong rejects of its list are equally frequent.",
)
_GALLERIES = "matching"  # what a gallery counts as among the criteria
_TRAITS = ("gender", "nationality", "age")
_KINDS = {  # of cards, in the order of the page: its heading, and what it holds
    "accepts": ("Wrong accepts", "Two people that the run takes for one, the highest scores first."),
    "rejects": ("Wrong rejects", "One person that the run takes for two, the lowest scores first."),
    "galleries": (
        "Hardest galleries",
        "Galleries in which the genuine candidate is furthest below the best impostor; of the impostors, the highest.",
    ),
}


@dataclass(frozen=True)
class Errors:
    """What the page shows of a run."""

    run: str
    wrong: Sequence[WrongTrial]
    galleries: Sequence[HardGallery]

    @property
    def samples(self) -> list[Sample]:
        """Every face and voice on the page, each once."""
        shown = [side for wrong in self.wrong for side in (wrong.left, wrong.right)]
        shown += [side for one in self.galleries for side in (one.probe, *(other for other, _ in one.candidates))]
        return list(dict.fromkeys(shown))


@dataclass(frozen=True)
class Rows:
    """What the rows of the stores are: index of faces and of voices, and people by name with their traits."""

    faces: pd.DataFrame  # item, frame, identity
    voices: pd.DataFrame
    people: pd.DataFrame  # identity, gender, nationality, age

    def face(self, row: int) -> Face:
        """Item and frame of a row of the face store."""
        return str(self.faces["item"].iat[row]), int(self.faces["frame"].iat[row])

    def voice(self, row: int) -> str:
        """Item of a row of the voice store."""
        return str(self.voices["item"].iat[row])

    def media_of(self, samples: Sequence[Sample]) -> tuple[list[Face], list[str]]:
        """The faces and the voices among samples."""
        faces = [self.face(sample.row) for sample in samples if sample.modality == "face"]
        return faces, [self.voice(sample.row) for sample in samples if sample.modality == "voice"]

    def identity(self, sample: Sample) -> str:
        """Whose face or voice it is."""
        return str((self.faces if sample.modality == "face" else self.voices)["identity"].iat[sample.row])


@dataclass(frozen=True)
class _Part:
    """A face or a voice as the template takes it."""

    modality: str
    identity: str
    place: str  # item, and of a face the frame
    traits: str
    picture: str = ""  # data URI
    clip: int | None = None  # position in the page's list of clips
    absent: str = ""  # why there is nothing to see or to hear
    genuine: bool = False
    score: str = ""  # of a candidate


@dataclass(frozen=True)
class _Card:
    """A trial or a gallery as the template takes it."""

    kind: str
    criterion: str
    title: str
    remark: str
    parts: Sequence[_Part]
    people: str  # positions in the page's list of people


def trials_page(errors: Errors, rows: Rows, found: Excerpts | str) -> str:
    """The whole file; instead of excerpts, `found` may say why the page has none: it then names the media alone."""
    people = sorted({rows.identity(sample) for sample in errors.samples})
    numbers = {name: number for number, name in enumerate(people)}
    clips = {} if isinstance(found, str) else {k: v for k, v in found.voices.items() if isinstance(v, bytes)}
    parts = _Parts(rows, found, {item: number for number, item in enumerate(clips)})
    cards = [_trial_card(wrong, parts, numbers) for wrong in errors.wrong]
    cards += [_gallery_card(gallery, parts, numbers) for gallery in errors.galleries]
    script = (_FOLDER / "trials.js").read_text(encoding="utf-8")
    criteria = list(dict.fromkeys(card.criterion for card in cards))
    return (
        environment()
        .get_template("trials.html.j2")
        .render(
            run=errors.run,
            style=Markup("".join((_FOLDER / name).read_text(encoding="utf-8") for name in _STYLES)),
            script=Markup(script),
            script_digest=_base64(hashlib.sha256(script.encode()).digest()),
            clips=Markup(json.dumps([_base64(clip) for clip in clips.values()])),  # no letter of base64 wants an escape
            notes=[*_NOTES, *_about(found)],
            kinds=[(kind, *words, [card for card in cards if card.kind == kind]) for kind, words in _KINDS.items()],
            choices=[
                ("kind", "Errors", "all", [(kind, heading) for kind, (heading, _) in _KINDS.items()]),
                ("criterion", "Criterion", "all", [(name, _words_of(name)) for name in criteria]),
                ("person", "Person", "everybody", list(enumerate(people))),
            ],
        )
    )


def _about(found: Excerpts | str) -> list[str]:
    """What the page says of its media."""
    if isinstance(found, str):
        return [found]
    shown = [*found.faces.values(), *found.voices.values()]
    absent = sum(isinstance(one, str) for one in shown)
    lines = ["A face is cut by its detected box; of a voice, the loudest part is heard."]
    return lines + ([f"{absent} of {len(shown)} media cannot be shown; each says why."] if absent else [])


@dataclass(frozen=True)
class _Parts:
    """Makes parts of samples."""

    rows: Rows
    found: Excerpts | str
    clips: Mapping[str, int]  # item -> position

    def __call__(self, sample: Sample, genuine: bool = False, score: str = "") -> _Part:
        identity = self.rows.identity(sample)
        shared = (identity, self._place(sample), self._traits(identity))
        picture, clip, absent = "", None, ""
        if isinstance(self.found, str):
            pass
        elif sample.modality == "face":
            face = self.found.faces[self.rows.face(sample.row)]
            picture, absent = ("", face) if isinstance(face, str) else (f"data:image/jpeg;base64,{_base64(face)}", "")
        else:
            voice = self.found.voices[item := self.rows.voice(sample.row)]
            clip, absent = (None, voice) if isinstance(voice, str) else (self.clips[item], "")
        return _Part(sample.modality, *shared, picture, clip, absent, genuine, score)

    def _place(self, sample: Sample) -> str:
        if sample.modality == "voice":
            return self.rows.voice(sample.row)
        item, frame = self.rows.face(sample.row)
        return f"{item}, frame {frame}"

    def _traits(self, identity: str) -> str:
        known = self.rows.people[self.rows.people["identity"] == identity]
        values = [known[name].iat[0] for name in _TRAITS] if len(known) else []
        return ", ".join(
            f"{value:g}" if isinstance(value, float) else str(value) for value in values if pd.notna(value)
        )


def _trial_card(wrong: WrongTrial, make: _Parts, numbers: Mapping[str, int]) -> _Card:
    others = "genuine pairs score lower" if wrong.accepted else "impostor pairs score higher"
    sides = (wrong.left, wrong.right)
    return _Card(
        "accepts" if wrong.accepted else "rejects",
        wrong.criterion,
        f"{wrong.criterion}: score {wrong.score:.3f}",
        f"accepted from {wrong.threshold:.3f} on; {wrong.beaten:.1f} % of the list's {others}",
        [make(side) for side in sides],
        _numbers(sides, make.rows, numbers),
    )


def _gallery_card(gallery: HardGallery, make: _Parts, numbers: Mapping[str, int]) -> _Card:
    shown = [make(sample, sample == gallery.genuine, f"{score:.3f}") for sample, score in gallery.candidates]
    return _Card(
        "galleries",
        _GALLERIES,
        gallery.task.words,
        f"the genuine candidate is number {gallery.rank} of {gallery.size}",
        [make(gallery.probe), *shown],
        _numbers([gallery.probe, *(sample for sample, _ in gallery.candidates)], make.rows, numbers),
    )


def _numbers(samples: Sequence[Sample], rows: Rows, numbers: Mapping[str, int]) -> str:
    return " ".join(str(number) for number in sorted({numbers[rows.identity(sample)] for sample in samples}))


def _words_of(criterion: str) -> str:
    if criterion == _GALLERIES:
        return "galleries"
    words = CRITERIA[criterion].words
    return f"{criterion}: impostors of the same {words}" if words else f"{criterion}: any impostors"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
