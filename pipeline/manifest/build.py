"""The manifest of a media folder: find, check, measure, check again."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifest import folders, mavceleb, table, voxceleb1
from pipeline.manifest.checks import refuse, refuse_contradictions, refuse_shared_media
from pipeline.manifest.identities import read_identities
from pipeline.manifest.known_media import known_path, read_known, write_known
from pipeline.manifest.measure import changed_since, measure
from pipeline.manifest.media_folder import Listing, list_media, media_root
from pipeline.manifest.medium import Measured
from pipeline.manifest.renames import check_renames
from pipeline.manifest.schema import COLUMNS, KIND_OF_SUFFIX, TRAITS, Entry, Traits, suffix_of
from pipeline.media.probe import Kind
from pipeline.settings import ManifestSettings

_SHOWN = 10  # media named in the log; all unreadable ones are in the extraction stages' skipped.csv

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """Where a manifest is made from."""

    media: Path
    table: Path
    identities: Path
    cache: Path  # folder for what the last manifest measured


def build_manifest(settings: ManifestSettings, sources: Sources) -> pd.DataFrame:
    """The table of schema.COLUMNS, one row per medium, sorted by item.

    Media that cannot be read stay in it with nulls: the extraction stages write down why. Raises ManifestError, naming
    the items or lines, for whatever contradicts itself, and when more than max_skip_ratio of the media cannot be read.
    """
    check_renames(settings, sources.table, sources.identities)
    people = read_identities(sources.identities, settings.columns)
    listing, entries = _entries(settings, sources)
    if not entries:
        raise ManifestError(_nothing_found(settings, sources.media, listing))
    refuse_contradictions(entries, people)
    known = read_known(known_path(sources.cache))
    measured = measure(listing.root, [entry.path for entry in entries], known)
    write_known(known_path(sources.cache), measured.values())
    _refuse_changes(settings, sources, listing, measured)
    _refuse_unreadable(measured, settings.max_skip_ratio)
    _refuse_other_kinds(entries, measured)
    rows = [_row(entry, measured[entry.path], people.get(entry.identity, Traits())) for entry in entries]
    manifest = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS).sort_values("item", ignore_index=True)
    _warn_of_tracks(measured)
    repeated = refuse_shared_media(manifest, [path for path, one in measured.items() if one.info])
    _log_counts(manifest, listing, measured, known)
    _warn(repeated, set(people), set(manifest["identity"]))
    return manifest


def _entries(settings: ManifestSettings, sources: Sources) -> tuple[Listing, list[Entry]]:
    if settings.layout == "csv":
        root = media_root(sources.media)
        found = table.entries(root, sources.table, settings.columns)
        return Listing(root, [entry.path for entry in found]), found
    listing = list_media(sources.media)
    if settings.layout == "voxceleb1":
        return listing, voxceleb1.entries(listing, sources.table)
    return listing, (folders if settings.layout == "folders" else mavceleb).entries(listing)


def _nothing_found(settings: ManifestSettings, media: Path, listing: Listing) -> str:
    expected = {
        "folders": "<identity>/clip.mp4 (a folder for each person)",
        "voxceleb1": "wav/id10001/<video>/00001.wav and faces/<Name>/1.6/<video>/0000375.jpg",
        "mavceleb": "voices/id0001/<language>/<video>/00000.wav and faces/id0001/<language>/<video>/00000.jpg",
        "csv": f"a row for each medium in {settings.table}",
    }[settings.layout]
    seen = ", ".join(f"{count} {reason}" for reason, count in sorted(listing.ignored.items())) or "nothing else"
    return f"{media}: no media for layout {settings.layout}, which wants {expected}. Ignored there: {seen}"


def _row(entry: Entry, medium: Measured, person: Traits) -> dict[str, object]:
    info = medium.info
    kind = entry.kind or (info.kind if info else _kind_by_name(entry.path))
    sound = ("duration", "sample_rate", "audio_tracks")
    names = sound if kind == "audio" else (*sound, "fps", "width", "height")
    described = {name: getattr(info, name, None) for name in names}
    traits = {name: getattr(entry.traits, name) or getattr(person, name) for name in TRAITS}
    own = {"item": entry.path, "identity": entry.identity, "clip": entry.clip, "kind": kind, "path": entry.path}
    return {**own, "digest": medium.digest, "size": medium.size, **described, **traits}


def _kind_by_name(path: str) -> Kind:
    return KIND_OF_SUFFIX.get(suffix_of(path), "video")


def _refuse_changes(
    settings: ManifestSettings, sources: Sources, listing: Listing, measured: Mapping[str, Measured]
) -> None:
    """DVC hashes the media folder after the manifest is made: what came meanwhile would be missing for good."""
    changed = [f"{path!r} changed" for path in changed_since(listing.root, measured)]
    if settings.layout != "csv":
        new = set(list_media(sources.media).paths) - set(listing.paths)
        changed += [f"{path!r} is new" for path in sorted(new)]
    refuse(
        changed, f"{sources.media}: media that changed while they were read", "Run `dvc repro` again once it is still."
    )


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
    for note in notes[:_SHOWN]:
        logger.warning("%s", note)
    if len(notes) > _SHOWN:
        logger.warning("... and %d more media with several tracks, or one without a decoder", len(notes) - _SHOWN)


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
        logger.info("%d of the videos have no audio track; their voices are looked for in other items", mute)
    if listing.ignored:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(listing.ignored.items()))
        logger.info("ignored in %s: %s", listing.root.name, counts)
    logger.info(
        "manifest: %d items (%s) of %d identities; %d read, %d cached, %d unreadable",
        *(len(manifest), kinds, manifest["identity"].nunique(), len(manifest) - cached, cached, unreadable),
    )


def _warn(repeated: Sequence[str], described: set[str], seen: set[str]) -> None:
    if repeated:
        told = (len(repeated), repeated[0])
        logger.warning("%d item(s) repeat the bytes of another item of the same identity, first: %s", *told)
    for what, names in (("of the metadata have no media", described - seen), ("have no metadata", seen - described)):
        if names and described:
            logger.warning("%d identities %s, first: %s", len(names), what, ", ".join(sorted(names)[:5]))
