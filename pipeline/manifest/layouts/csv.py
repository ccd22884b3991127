"""Layout csv: the user's own table, one row per medium: path, identity, and where they like clip, kind and traits."""

import logging
import unicodedata
from pathlib import Path, PurePosixPath
from typing import cast, get_args

from pipeline.errors import ManifestError
from pipeline.manifest.checks import path_problem, refuse, refuse_duplicates
from pipeline.manifest.csv_rows import Row, Rows, read_rows, renamed
from pipeline.manifest.identities import canonical, parse_traits
from pipeline.manifest.layouts import LayoutInput, register
from pipeline.manifest.media_folder import Listing, media_root
from pipeline.manifest.schema import TABLE_COLUMNS, Entry, recording_by_folder, recording_of
from pipeline.settings import Kind, is_inside

logger = logging.getLogger(__name__)


@register("csv", expects="a row for each medium in manifest.table", renames=True)
def find(source: LayoutInput) -> tuple[Listing, list[Entry]]:
    """One entry per row; paths are relative to the media folder.

    A row without clip is of the recording that its second folder names, as in layout folders, and where there is none
    a recording of its own (the path without its suffix); a warning counts both. `kind: audio` uses only the sound of a
    video. Raises ManifestError, naming the lines, for missing columns or values, paths that do not exist or leave
    the folder, unknown kinds, unreadable traits, and media that are listed twice.
    """
    root, table = media_root(source.media), source.table
    raw = read_rows(table, "table")
    rows = renamed(raw, TABLE_COLUMNS, source.columns)
    if missing := [name for name in ("path", "identity") if name not in rows.header]:
        raise ManifestError(
            f"{table} has no column(s) {', '.join(missing)} (it has {', '.join(raw.header)}); "
            "name yours under manifest.columns"
        )
    problems: list[str] = []
    found = [_entry(root, row, problems) for row in rows.rows]
    refuse(problems, f"{table}: rows that cannot be used", "Mend or remove these rows.")
    refuse_duplicates(found)
    _warn_of_recordings(rows)
    return Listing(root, [entry.path for entry in found], whole=False), found


def _entry(root: Path, row: Row, problems: list[str]) -> Entry:
    raw, identity, kind = row.values.get("path", ""), row.values.get("identity", ""), row.values.get("kind")
    path = _as_on_disk(root, str(PurePosixPath(raw)))  # a/./b.mp4 and a//b.mp4 are a/b.mp4
    if problem := path_problem(root, path):
        problems.append(f"{row.source}: path {raw!r} {problem}")
    if not identity:
        problems.append(f"{row.source}: no identity")
    if kind is not None and kind not in get_args(Kind):
        problems.append(f"{row.source}: kind {kind!r} is none of {', '.join(get_args(Kind))}")
    clip = canonical(row.values.get("clip", "")) or recording_of(path)
    return Entry(path, identity, clip, parse_traits(row, problems), cast(Kind | None, kind), row.source)


def _as_on_disk(root: Path, path: str) -> str:
    """The path in the Unicode form that the file's name has: tables and folders of two systems may differ in it."""
    forms = (path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path))
    return next((form for form in forms if is_inside(PurePosixPath(form)) and (root / form).exists()), path)


def _warn_of_recordings(table: Rows) -> None:
    """Say what counts as a recording where the table has no clip: trials of two recordings depend on it."""
    paths = [str(PurePosixPath(row.values["path"])) for row in table.rows if "clip" not in row.values]
    if not paths:
        return
    foldered = [recording for path in paths if (recording := recording_by_folder(path))]
    logger.warning(
        "%s: %s: %d rows are of the %d recordings that a second folder names, each of %d others is a recording by "
        "itself; trials of two recordings depend on that",
        table.path,
        f"{len(paths)} rows without clip" if "clip" in table.header else "no clip column",
        *(len(foldered), len(set(foldered)), len(paths) - len(foldered)),
    )
