"""The tables beside the clips: what the pipeline reads, and the truth it must not read."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools.corpus.association import voice_drivers
from tools.corpus.files import written_whole
from tools.corpus.latents import DRIVERS, draw_latents
from tools.corpus.sentences import choose_sentence
from tools.corpus.settings import Settings


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file, whole or not at all."""
    with written_whole(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def identity_name(person: int) -> str:
    """Folder of a person, such as id0001."""
    return f"id{person:04d}"


def identity_rows(settings: Settings) -> list[tuple[str, str, int, str]]:
    """Identity, gender, age in years, region."""
    people = ((person, draw_latents(settings.seed, person)) for person in range(1, settings.people + 1))
    return [(identity_name(person), who.gender, who.years, who.region) for person, who in people]


def latent_rows(settings: Settings) -> list[tuple[object, ...]]:
    """Identity, size, s1, s2, three ancestry weights, and the four drivers of the voice."""
    rows = []
    for person in range(1, settings.people + 1):
        who = draw_latents(settings.seed, person)
        drivers = voice_drivers(settings.seed, person, who, settings.association)
        hidden = (who.size, who.s1, who.s2, *who.ancestry, *(round(float(driver), 4) for driver in drivers))
        rows.append((identity_name(person), *hidden))
    return rows


def sentence_rows(settings: Settings) -> list[tuple[str, int, str]]:
    """Identity, clip, text."""
    people = range(1, settings.people + 1)
    return [
        (identity_name(person), clip, choose_sentence(settings.seed, person, clip).text)
        for person in people
        for clip in range(settings.clips)
    ]


def write_tables(out: Path, settings: Settings) -> None:
    """identities.csv for the pipeline; truth/ for tests and for the curious."""
    write_rows(out / "identities.csv", ("identity", "gender", "age", "region"), identity_rows(settings))
    hidden = ("size", "s1", "s2", "african", "asian", "caucasian", *(f"voice_{name}" for name in DRIVERS))
    write_rows(out / "truth" / "latents.csv", ("identity", *hidden), latent_rows(settings))
    write_rows(out / "truth" / "sentences.csv", ("identity", "clip", "text"), sentence_rows(settings))
