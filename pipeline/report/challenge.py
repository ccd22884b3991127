"""The table of a MAV-Celeb challenge: language trained on by language tested in, beside what others published."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.protocol.vocabulary import CHALLENGE_TRACKS
from pipeline.report.runs import MARK, Measured, Run
from pipeline.report.tables import ReportTable, Value
from pipeline.settings import ALL_LANGUAGES

_TRIALS = {"test": "own test people", "validation": "own validation people", "released": "released list"}


@dataclass(frozen=True)
class Published:
    """Figures of one system on the released lists of a version, EER in percent."""

    name: str
    source: str
    heard: str  # language trained on; empty: the mean of several
    cells: Mapping[tuple[str, str], float]  # (track, language tested in) -> EER
    mean: float | None = None  # as published, over all cells of the system


def _fop(heard: str, cells: Mapping[str, float], mean: float | None = None) -> Published:
    by_track = {("no_gender", language): eer for language, eer in cells.items()}
    return Published("FOP, baseline", "mavceleb/mavceleb_baseline", heard, by_track, mean)


def _flag(phase: str, values: tuple[float, float, float, float], mean: float) -> Published:
    names = [(track, language) for track in ("no_gender", "gender") for language in ("English", "Bangla")]
    return Published(f"FOP, baseline, {phase}", "FLAG 2027", "English", dict(zip(names, values, strict=True)), mean)


# version -> systems; a baseline's mean, with its last entry, is over all its cells, of both languages heard
PUBLISHED: Mapping[str, tuple[Published, ...]] = {
    "v1": (
        _fop("English", {"English": 45.1, "Urdu": 48.3}),
        _fop("Urdu", {"English": 47.0, "Urdu": 44.3}, 46.2),
        Published("HLT, first of FAME 2024", "mavceleb/mavceleb_baseline", "", {}, 19.91),
    ),
    "v2": (
        _fop("English", {"English": 35.7, "Hindi": 36.7}),
        _fop("Hindi", {"English": 38.9, "Hindi": 37.3}, 37.2),
    ),
    "v3": (
        _fop("English", {"English": 34.5, "German": 43.7}),
        _fop("German", {"English": 43.2, "German": 39.6}, 40.2),
        Published("first of FAME 2026", "2508.04592 and its results", "", {}, 23.99),
    ),
    "v4": (
        _flag("development lists", (32.54, 38.12, 32.99, 44.01), 36.92),
        _flag("evaluation lists", (29.10, 32.90, 39.4, 39.90), 35.32),
    ),
}


def challenge_table(runs: Sequence[Run], version: str) -> ReportTable:
    """A row a run, kind of trials and track, a column a language; then each system's mean over all its cells.

    Version 4 scores both tracks together.
    A system is runs that differ in the language that they heard alone, one a language; so are fusions of such runs, and
    released checkpoints. Without challenge figures it has no row.
    """
    done = [run for run in runs if run.metrics is not None and run.group("challenge")]
    languages = sorted({language for run in done for _, _, language in _cells(run)})
    languages += sorted({cell[1] for one in PUBLISHED.get(version, ()) for cell in one.cells} - set(languages))
    rows: list[tuple[Value, ...]] = []
    means: dict[tuple[str, str, str], list[float]] = defaultdict(list)  # (system, kind of trials, track) -> EERs
    for run in done:
        for kind, words in _TRIALS.items():
            for track in CHALLENGE_TRACKS:
                figures = [run.measured("challenge", kind, track, language, "eer") for language in languages]
                if any(figures):
                    rows.append((run.name, run.settings.language, words, _words(track), *figures, _mean(figures)))
                    for part in (track, *(("all",) if version == "v4" else ())):
                        means[_system(run, done), kind, part] += [figure.value for figure in figures if figure]
    for (system, kind, part), values in means.items():
        words = f"mean of {len(values)} cells" + ("" if part == "all" else f", {_words(part)}")
        blank = [None] * len(languages)
        rows.append((system, "", _TRIALS[kind], words, *blank, sum(values) / len(values)))
    if rows:
        rows += [row for one in PUBLISHED.get(version, ()) for row in _published(one, languages)]
    notes = (
        "EER in percent, voice against face, of people who are not trained on. Heard: the language that a run trains "
        "on, unheard: another. Own people were taken out of the training lists; models are chosen on the validation "
        f"people in the language heard, so that those figures are a little too good; with {MARK} on the own "
        "test people themselves, whose figures say nothing then. Released lists are measured where "
        "their truth is there. Published figures are of other extractors, on the released lists.",
    )
    header = ("Run", "Trained on", "Trials", "Track", *(f"{language} test" for language in languages), "Mean")
    rules: dict[str, set[str]] = defaultdict(set)
    for run in done:
        for name in (run.name, _system(run, done)):
            rules[name].add(run.settings.selection)
    return ReportTable(
        "challenge",
        "MAV-Celeb's challenge: heard and unheard languages",
        notes,
        header,
        tuple(rows),
        marks={name: f" {MARK}" if "test" in found else "" for name, found in rules.items()},
        chosen_on={name: ", ".join(sorted(found)) for name, found in rules.items()},
    )


def _cells(run: Run) -> list[tuple[str, str, str]]:
    return [
        (kind, track, language)
        for kind in run.group("challenge")
        for track in run.group("challenge", kind)
        for language in run.group("challenge", kind, track)
    ]


def _words(track: str) -> str:
    shared = CHALLENGE_TRACKS[track].words
    return f"impostors of the same {shared}" if shared else "any impostor"


def _mean(figures: Sequence[Measured | None]) -> float | None:
    values = [figure.value for figure in figures if figure]
    return sum(values) / len(values) if values else None


def _system(run: Run, runs: Sequence[Run]) -> str:
    """Names of the runs that differ from this one in the language heard alone, this one's with them.

    A run of all languages, and one of several that heard the same, is a system by itself.
    """
    own = _besides_language(run.settings.model_dump())
    alike = [one for one in runs if _besides_language(one.settings.model_dump()) == own]
    alike = [one for one in alike if one.settings.language != ALL_LANGUAGES]
    heard = [one.settings.language for one in alike]
    return " + ".join(one.name for one in alike) if run in alike and len(set(heard)) == len(heard) else run.name


def _besides_language(settings: Mapping[str, Any]) -> dict[str, object]:
    """Settings without the language; of a released checkpoint that it is one, of a fusion those of its members."""
    members = (settings["fusion"] or {}).values()
    fused = sorted(json.dumps(_besides_language(member), sort_keys=True) for member in members)
    return {**settings, "language": "", "fusion": fused, "checkpoint": settings["checkpoint"] is not None}


def _published(one: Published, languages: Sequence[str]) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = []
    name, tracks = f"{one.name} ({one.source})", dict.fromkeys(track for track, _ in one.cells)
    for track in tracks:
        cells = [one.cells.get((track, language)) for language in languages]
        known = [cell for cell in cells if cell is not None]
        rows.append((name, one.heard, "released list", _words(track), *cells, sum(known) / len(known)))
    if one.mean is not None:
        rows.append((name, "", "released list", "mean of all cells", *[None] * len(languages), one.mean))
    return rows
