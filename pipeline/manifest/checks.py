"""What a manifest must not be: problems are gathered, so that one run names them all, and refused together."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from pipeline.errors import ManifestError, first_of
from pipeline.manifest.mavceleb_paths import ANONYMOUS
from pipeline.manifest.schema import Entry, Traits
from pipeline.settings import is_inside

_SHOWN = 10  # problems written out
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, bytes that are no UTF-8, line and paragraph separators


def refuse(problems: Sequence[str], what: str, remedy: str) -> None:
    """Raise ManifestError with the first problems and their number, if there are any."""
    if not problems:
        return
    lines = "".join(f"\n  {line}" for line in first_of(problems, _SHOWN))
    raise ManifestError(f"{what} ({len(problems)}):{lines}\n{remedy}")


def path_problem(root: Path, path: str) -> str | None:
    """Why a path below `root` (resolved) must not be used, or None.

    Paths are joined to the media folder, written into tables and logs, and may come from a colleague's table:
    none may lead elsewhere or break a line.
    """
    if not path or path == ".":
        return "is empty"
    if problem := name_problem(path):
        return problem
    if not is_inside(PurePosixPath(path)):
        return "leaves the media folder; give it relative to that folder"
    try:
        target = (root / path).resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        return f"does not exist ({getattr(error, 'strerror', None) or error})"
    if not target.is_relative_to(root):
        return (
            "is a link that leads out of the media folder; copy the file in (DVC: cache.type reflink, hardlink or copy)"
        )
    return None if target.is_file() else "is no file"


def name_problem(path: str) -> str | None:
    """Why a path must not be used for its letters alone, or None."""
    broken = "holds a line break, a control character or bytes that are not UTF-8; rename it"
    return broken if unprintable(path) else None


def unprintable(text: str) -> bool:
    """Whether a text could break a line of a table or of a log."""
    return not text.isprintable() and any(unicodedata.category(letter) in _UNPRINTABLE for letter in text)


def same_text(one: object, other: object) -> bool:
    """Whether two values are equal; texts, such as nationalities, whatever their case and Unicode form."""
    return folded(one) == folded(other) if isinstance(one, str) and isinstance(other, str) else one == other


def folded(text: str) -> str:
    """A text without case, composed: `norway` and `Norway` are one country."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def refuse_duplicates(entries: Iterable[Entry]) -> None:
    """Raise ManifestError for items that are listed twice."""
    seen: dict[str, Entry] = {}
    problems = []
    for entry in entries:
        first = seen.setdefault(entry.path, entry)
        if first is not entry:
            problems.append(f"{entry.path!r}: {first.source} and {entry.source}")
    refuse(problems, "items that are listed twice", "Keep one row for each medium.")


def refuse_contradictions(entries: Iterable[Entry], people: Mapping[str, Traits]) -> None:
    """Raise ManifestError for a person of two genders, nationalities or ages, between items or with the metadata."""
    known: dict[tuple[str, str], tuple[object, str]] = {}
    for identity, traits in people.items():
        for name in ("gender", "nationality", "age"):
            known[identity, name] = (getattr(traits, name), "the identities' table")
    problems = []
    for entry in entries:
        for name in ("gender", "nationality", "age"):
            value, (other, source) = getattr(entry.traits, name), known.get((entry.identity, name), (None, ""))
            if other is None:
                known[entry.identity, name] = (value, entry.source or entry.path)
            elif value is not None and not same_text(value, other):
                where = entry.source or entry.path
                problems.append(f"{entry.identity!r}: {name} {value!r} in {where}, {other!r} in {source}")
    refuse(problems, "contradicting metadata", "Mend the rows: a person has one gender, nationality and age.")


def refuse_shared_media(manifest: pd.DataFrame, readable: Iterable[str]) -> list[str]:
    """Raise ManifestError where one medium (the same bytes) belongs to two identities.

    Unreadable items are left out: empty files are all the same; and so is one anonymous item beside another, as the
    test lists of a challenge may hold a sample twice. Returns which items repeat another one of the
    same identity, and which one: the protocol takes their clips for one recording (read_corpus).
    """
    holders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    rows = manifest[manifest["digest"].duplicated(keep=False)]
    rows = rows[rows["item"].isin(set(readable))]
    for item, identity, digest in zip(rows["item"], rows["identity"], rows["digest"], strict=True):
        holders[digest].append((item, identity))
    problems, repeated = [], []
    for held in holders.values():
        (item, identity), others = held[0], held[1:]
        strangers = [other for other in others if other[1] != identity]
        if identity.startswith(ANONYMOUS):
            strangers = [other for other in strangers if not other[1].startswith(ANONYMOUS)]
        problems += [f"{item!r} of {identity!r} and {other!r} of {name!r}" for other, name in strangers]
        repeated += [f"{other!r} those of {item!r}" for other, name in others if name == identity]
    refuse(problems, "the same medium under two identities", "Remove it from the identity it does not belong to.")
    return repeated
