"""What is known of people: gender, nationality, age and language from a table with one row per identity."""

import math
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ManifestError
from pipeline.manifest.checks import refuse, unprintable
from pipeline.manifest.csv_rows import Row, read_rows, renamed
from pipeline.manifest.schema import TRAITS, Traits

_GENDERS = {"f": "f", "female": "f", "woman": "f", "m": "m", "male": "m", "man": "m"}
_OLDEST = 130.0  # years
_REMEDY = "Mend these rows; leave a value empty where it is unknown."


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
        identity, traits = row.values.get("identity", ""), parse_traits(row, problems)
        if not identity:
            problems.append(f"{row.source}: no identity")
            continue
        known, source = people.setdefault(identity, (traits, row.source))
        if known != traits:
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
