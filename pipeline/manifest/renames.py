"""`manifest.columns`: the names that a table of the user's gives its columns."""

from pathlib import Path

from pipeline.manifest.checks import refuse
from pipeline.manifest.csv_rows import read_rows
from pipeline.manifest.table import NAMES
from pipeline.settings import ManifestSettings

_HELP = "Mend the name, or remove the line where your column has our name."


def check_renames(settings: ManifestSettings, table: Path, identities: Path) -> None:
    """Raise ManifestError for names that are not ours, and for columns that no table in use has."""
    unknown = [
        f"{name}: no such name; it must be one of {', '.join(NAMES)}" for name in settings.columns if name not in NAMES
    ]
    refuse(unknown, "manifest.columns", "The key is our name, the value the column of your table.")
    used = [read_rows(identities, "identities")]
    if settings.layout == "csv":
        used.append(read_rows(table, "table"))
    filled = [one for one in used if one.rows]
    if not filled:
        return  # no metadata, so there is nothing to rename
    headers = {column for one in filled for column in one.header}
    absent = [f"{ours}: {theirs!r}" for ours, theirs in settings.columns.items() if theirs not in headers]
    refuse(
        absent, f"manifest.columns names columns that are not in {' or '.join(str(one.path) for one in filled)}", _HELP
    )
