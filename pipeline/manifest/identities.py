"""Names of identities, and their gender, nationality, age and language from a table with a row for each."""

import logging
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from pipeline.errors import ManifestError, first_of
from pipeline.manifest.checks import refuse, same_text, unprintable
from pipeline.manifest.csv_rows import Row, read_rows, renamed
from pipeline.manifest.schema import TRAITS, Entry, Traits

_GENDERS = {"f": "f", "female": "f", "woman": "f", "m": "m", "male": "m", "man": "m"}
_OLDEST = 130.0  # years
_REMEDY = "Mend these rows; leave a value empty where it is unknown."
_SHOWN = 5  # pairs of names in a warning

logger = logging.getLogger(__name__)


def canonical(name: str) -> str:
    """An identity's name as the manifest has it: composed (NFC; macOS decomposes names), without outer spaces."""
    return unicodedata.normalize("NFC", name).strip()


def with_canonical_names(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with canonical identities; raises ManifestError where two spellings of one name would become one.

    Two folders of nearly one name hold one person or two: only the user knows, and either guess could falsify trials.
    """
    spellings: dict[str, dict[str, str]] = defaultdict(dict)  # canonical: as written: first item or line
    of: dict[str, str] = {}
    for entry in entries:
        if entry.identity not in of:
            of[entry.identity] = canonical(entry.identity)
            spellings[of[entry.identity]][entry.identity] = entry.source or entry.path
    problems = [
        " and ".join(f"{name!a} ({source!a})" for name, source in sorted(written.items()))
        for written in spellings.values()
        if len(written) > 1
    ]
    what = "identities that differ only by the Unicode form of their letters or by outer spaces"
    refuse(problems, what, "Give a person one spelling, and two people two names.")
    nameless = [f"{source!a}" for name, written in spellings.items() if not name for source in written.values()]
    refuse(nameless, "identities whose names are spaces alone", "Give them names.")
    return [one if of[one.identity] == one.identity else replace(one, identity=of[one.identity]) for one in entries]


def warn_of_similar_names(identities: Set[str], described: Set[str]) -> None:
    """Name identities, of the media and of the metadata, that differ only by case, leading zeros or unseen letters.

    Spreadsheets make 1 of 001. Two such names stay two people: `a1` and `A1` may well be.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(identities | described):
        groups[_core(name)].append(name)
    notes = []
    for names in groups.values():
        if len(names) == 1 or identities.isdisjoint(names):
            continue
        without = [name for name in names if name not in identities]
        unused = f"the metadata of {', '.join(map(repr, without))} is used for nobody"
        effect = unused if without else "they count as different people"
        spelled = " and ".join(map(repr, names))
        notes.append(f"{spelled} differ only by case, leading zeros or unseen letters: {effect}")
    for note in first_of(notes, _SHOWN, "more identities whose names are nearly the same"):
        logger.warning("%s", note)


def _core(name: str) -> str:
    """What is left of a name without case, width, unseen letters and leading zeros."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(letter for letter in letters if unicodedata.category(letter) != "Cf")
    return re.sub(r"(?<!\d)0+(?=\d)", "", " ".join(seen.split()))


def read_identities(path: Path, columns: Mapping[str, str]) -> dict[str, Traits]:
    """Traits by identity.

    `columns` maps our names (identity, gender, nationality, age, language) to the table's where they differ. Raises
    ManifestError, naming the lines, for unreadable tables or values and for an identity with two different rows.
    """
    raw = read_rows(path, "identities")
    table = renamed(raw, ("identity", *TRAITS), columns)
    if not raw.rows:
        return {}
    if "identity" not in table.header:
        raise ManifestError(
            f"{path} has no column 'identity' (it has {', '.join(raw.header)}); name yours under manifest.columns"
        )
    people: dict[str, tuple[Traits, str]] = {}
    problems: list[str] = []
    for row in table.rows:
        identity, traits = canonical(row.values.get("identity", "")), parse_traits(row, problems)
        if not identity:
            problems.append(f"{row.source}: no identity")
            continue
        known, source = people.setdefault(identity, (traits, row.source))
        if not all(same_text(getattr(known, name), getattr(traits, name)) for name in TRAITS):
            problems.append(f"{row.source}: identity {identity!r} again, with other values than in {source}")
    refuse(problems, f"{path}: metadata that cannot be read", _REMEDY)
    return {identity: traits for identity, (traits, _) in people.items()}


def parse_traits(row: Row, problems: list[str]) -> Traits:
    """Traits of a row under our column names; what cannot be read is added to `problems`."""
    gender, age = row.values.get("gender"), row.values.get("age")
    if gender is not None and gender.lower() not in _GENDERS:
        problems.append(f"{row.source}: gender {gender!r} is none of f, m, female, male")
    years = None if age is None else _years(age)
    if age is not None and years is None:
        problems.append(f"{row.source}: age {age!r} is not a number of years")
    problems += [
        f"{row.source}: {name} holds a control character" for name, text in row.values.items() if unprintable(text)
    ]
    return Traits(
        gender=_GENDERS.get((gender or "").lower()),
        nationality=row.values.get("nationality"),
        age=years,
        language=row.values.get("language"),
    )


def _years(text: str) -> float | None:
    try:
        years = float(text)
    except ValueError:
        return None
    return years if math.isfinite(years) and 0 < years < _OLDEST else None
