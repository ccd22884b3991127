"""The manifest of a media folder: find, check, measure, check again."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import ManifestError, first_of
from pipeline.manifest.checks import folded, refuse, refuse_contradictions, refuse_shared_media
from pipeline.manifest.csv_rows import read_rows
from pipeline.manifest.identities import read_identities, warn_of_similar_names, with_canonical_names
from pipeline.manifest.known_media import known_path, read_known, write_known
from pipeline.manifest.layouts import Layout, LayoutInput, layout_named
from pipeline.manifest.measure import changed_since, measure
from pipeline.manifest.media_folder import Listing, folders_without_media, list_media
from pipeline.manifest.medium import Measured
from pipeline.manifest.schema import COLUMNS, KIND_OF_SUFFIX, TABLE_COLUMNS, TRAITS, Entry, Traits, suffix_of
from pipeline.settings import Kind, ManifestSettings

_SHOWN = 10  # media named in the log; all unreadable ones are in the extraction stages' skipped.csv
_SYNTHETIC = "truth/settings.json"  # what tools.corpus puts beside the table of a corpus that it makes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """Where a manifest is made from."""

    media: Path
    table: Path
    identities: Path
    cache: Path  # folder for what the last manifest of each media folder measured


def build_manifest(settings: ManifestSettings, sources: Sources) -> pd.DataFrame:
    """The table of schema.COLUMNS, one row per medium, sorted by item.

    Media that cannot be read stay in it with nulls: the extraction stages write down why. Raises ManifestError, naming
    the items or lines, for whatever contradicts itself, and when more than max_skip_ratio of the media cannot be read.
    """
    layout = layout_named(settings.layout)
    _refuse_synthetic_people(sources)
    _check_renames(settings.columns, sources, layout)
    people = read_identities(sources.identities, settings.columns)
    listing, entries = layout.find(LayoutInput(sources.media, sources.table, settings.columns))
    _warn_of_unread(listing)
    if not entries:
        raise ManifestError(_nothing_found(settings.layout, layout, sources.media, listing))
    if settings.listed:
        _refuse_unwatched(listing)
    entries = with_canonical_names(entries)
    warn_of_similar_names({entry.identity for entry in entries}, people.keys())
    refuse_contradictions(entries, people)
    memory = known_path(sources.cache, listing.root)
    known = read_known(memory)
    measured = measure(listing.root, [entry.path for entry in entries], known)
    write_known(memory, measured.values())
    _refuse_changes(sources.media, listing, measured)
    _refuse_unreadable(measured, settings.max_skip_ratio)
    _refuse_other_kinds(entries, measured)
    manifest = _table(sorted(entries, key=lambda entry: entry.path), measured, people)
    for name in ("nationality", "language"):
        manifest[name] = _in_one_spelling(manifest[name])
    _warn_of_tracks(measured)
    repeated = refuse_shared_media(manifest, [path for path, one in measured.items() if one.info])
    _log_counts(manifest, listing, measured, known)
    _warn(repeated, set(people), set(manifest["identity"]))
    return manifest


def _refuse_synthetic_people(sources: Sources) -> None:
    """Raise ManifestError where media would get the traits of synthetic people: real ones are called id0001, too."""
    corpus = sources.identities.resolve().parent
    if (corpus / _SYNTHETIC).is_file() and not sources.media.resolve().is_relative_to(corpus):
        raise ManifestError(
            f"manifest.identities: {sources.identities} describes the synthetic people of {corpus}, but the media are "
            f"those of {sources.media}: name the table of your own people, or data/no_identities.csv if you have none"
        )


def _check_renames(columns: Mapping[str, str], sources: Sources, layout: Layout) -> None:
    """Raise ManifestError for names in manifest.columns that are not ours, and for columns that no table in use has."""
    known = ", ".join(TABLE_COLUMNS)
    unknown = [f"{name}: no such name; it must be one of {known}" for name in columns if name not in TABLE_COLUMNS]
    refuse(unknown, "manifest.columns", "The key is our name, the value the column of your table.")
    used = [read_rows(sources.identities, "identities")]
    if layout.renames:
        used.append(read_rows(sources.table, "table"))
    filled = [one for one in used if one.rows]
    if not filled:
        return  # no metadata, so there is nothing to rename
    headers = {column for one in filled for column in one.header}
    absent = [f"{ours}: {theirs!r}" for ours, theirs in columns.items() if theirs not in headers]
    names = " or ".join(str(one.path) for one in filled)
    remedy = "Mend the name, or remove the line where your column has our name."
    refuse(absent, f"manifest.columns names columns that are not in {names}", remedy)


def _nothing_found(name: str, layout: Layout, media: Path, listing: Listing) -> str:
    seen = ", ".join(f"{count} {reason}" for reason, count in sorted(listing.ignored.items())) or "nothing else"
    return f"{media}: no media for layout {name}, which expects {layout.expects}. Ignored there: {seen}"


def _refuse_unwatched(listing: Listing) -> None:
    """A table may name hidden files, which stages.media passes over: nobody would notice that one has changed."""
    folders = {folder: (listing.root / folder).resolve() for folder in {_folder_of(path) for path in listing.paths}}
    hidden = {name for name, real in folders.items() if _is_hidden(os.path.relpath(real, listing.root).split("/"))}
    unwatched = [
        repr(path) for path in listing.paths if path.rpartition("/")[2].startswith(".") or _folder_of(path) in hidden
    ]
    refuse(unwatched, "hidden media, which manifest.listed does not watch", "Rename them, or the folders they are in.")


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _is_hidden(names: Sequence[str]) -> bool:
    return names != ["."] and any(name.startswith(".") for name in names)  # "..", too


def _table(entries: Sequence[Entry], measured: Mapping[str, Measured], people: Mapping[str, Traits]) -> pd.DataFrame:
    """One row an entry; made column by column, which takes a third of the memory of a dictionary a row."""
    table = pd.DataFrame(index=pd.RangeIndex(len(entries)))
    values: dict[str, Callable[[Entry, Measured], object]] = {
        "item": lambda entry, _: entry.path,
        "identity": lambda entry, _: entry.identity,
        "clip": lambda entry, _: entry.clip,
        "kind": _kind,
        "path": lambda entry, _: entry.path,
        "digest": lambda _, medium: medium.digest,
        "size": lambda _, medium: medium.size,
    }
    for name, dtype in COLUMNS.items():
        value = values.get(name) or (_trait(name, people) if name in TRAITS else _described(name))
        column = [value(entry, measured[entry.path]) for entry in entries]
        table[name] = pd.array(column, dtype=dtype)
    return table


def _kind(entry: Entry, medium: Measured) -> Kind:
    return entry.kind or (medium.info.kind if medium.info else _kind_by_name(entry.path))


def _described(name: str) -> Callable[[Entry, Measured], object]:
    """What the header says; of a video that is used as sound alone, nothing of its pictures."""
    of_pictures = name in ("fps", "width", "height")

    def value(entry: Entry, medium: Measured) -> object:
        return None if of_pictures and _kind(entry, medium) == "audio" else getattr(medium.info, name, None)

    return value


def _trait(name: str, people: Mapping[str, Traits]) -> Callable[[Entry, Measured], object]:
    """The item's own, or else its person's."""
    nobody = Traits()

    def value(entry: Entry, _: Measured) -> object:
        return getattr(entry.traits, name) or getattr(people.get(entry.identity, nobody), name)

    return value


def _in_one_spelling(values: "pd.Series[str]") -> "pd.Series[str]":
    """Texts that differ by case or Unicode form alone become the first of them by order: lists compare them."""
    spellings: dict[str, str] = {}
    for text in sorted(values.dropna().unique()):
        spellings.setdefault(folded(text), text)
    return values.map(lambda text: spellings[folded(text)], na_action="ignore").astype(values.dtype)


def _kind_by_name(path: str) -> Kind:
    return KIND_OF_SUFFIX.get(suffix_of(path), "video")


def _refuse_changes(media: Path, listing: Listing, measured: Mapping[str, Measured]) -> None:
    """DVC hashes the media folder after the manifest is made: what came meanwhile would be missing for good."""
    changed = [f"{path!r} changed" for path in changed_since(listing.root, measured)]
    if listing.whole and (again := list_media(media).paths) != listing.paths:
        changed += [f"{path!r} is new" for path in sorted(set(again) - set(listing.paths))]
    refuse(changed, f"{media}: media that changed while they were read", "Run `dvc repro` again once it is still.")


def _refuse_unreadable(measured: Mapping[str, Measured], allowed: float) -> None:
    reasons = [f"{path}: {one.reason}" for path, one in sorted(measured.items()) if one.info is None]
    for reason in reasons[:_SHOWN]:
        logger.warning("unreadable, %s", reason)
    if len(reasons) > allowed * len(measured):
        remedy = "Mend or remove them, or raise manifest.max_skip_ratio in params.yaml."
        share = f"{len(reasons)} of {len(measured)} media, more than manifest.max_skip_ratio = {allowed:g} allows"
        refuse(reasons, f"media that cannot be read, {share}", remedy)


def _warn_of_tracks(measured: Mapping[str, Measured]) -> None:
    """Which of several tracks is taken, and what has no decoder: a wrong track is a wrong person."""
    notes = [f"{path}: {one.info.notes}" for path, one in sorted(measured.items()) if one.info and one.info.notes]
    for note in first_of(notes, _SHOWN, "more media with several tracks, or one without a decoder"):
        logger.warning("%s", note)


def _refuse_other_kinds(entries: Sequence[Entry], measured: Mapping[str, Measured]) -> None:
    problems = []
    for entry in entries:
        info = measured[entry.path].info
        sound_of_video = entry.kind == "audio" and info is not None and info.has_audio
        if info and entry.kind not in (None, info.kind) and not sound_of_video:
            problems.append(f"{entry.source}: {entry.path!r} is {info.kind}, not {entry.kind}")
    refuse(problems, "media of another kind than their row says", "Mend the column kind, or leave it empty.")


def _log_counts(
    manifest: pd.DataFrame, listing: Listing, measured: Mapping[str, Measured], known: Mapping[str, Measured]
) -> None:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(manifest["kind"]).items()))
    cached = sum(one.stamp in known for one in measured.values())
    unreadable = sum(one.info is None for one in measured.values())
    mute = int(((manifest["kind"] == "video") & (manifest["audio_tracks"] == 0)).sum())
    if mute:
        logger.info("videos without an audio track: %d; no voice is embedded of them", mute)
    if listing.ignored:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(listing.ignored.items()))
        logger.info("ignored in %s: %s", listing.root.name, counts)
    logger.info(
        "manifest: %d items (%s) of %d identities; %d read, %d cached, %d unreadable",
        *(len(manifest), kinds, manifest["identity"].nunique(), len(manifest) - cached, cached, unreadable),
    )


def _warn_of_unread(listing: Listing) -> None:
    """Name the folders of which no file is read: a person whose photos are all HEIC would be missing silently."""
    notes = []
    for folder, suffixes in sorted(folders_without_media(listing).items()):
        held = ", ".join(f"{count} {suffix}" for suffix, count in sorted(suffixes.items()))
        notes.append(f"{folder!r} holds no file of a kind that is read ({held}): convert them, if these are media")
    for note in first_of(notes, _SHOWN, "more such folders"):
        logger.warning("%s", note)


def _warn(repeated: Sequence[str], described: set[str], seen: set[str]) -> None:
    if repeated:
        message = "%d item(s) repeat the bytes of another item of the same identity, first: %s"
        logger.warning(message, len(repeated), repeated[0])
    for what, names in (("of the metadata have no media", described - seen), ("have no metadata", seen - described)):
        if names and described:
            logger.warning("%d identities %s, first: %s", len(names), what, ", ".join(sorted(names)[:5]))
