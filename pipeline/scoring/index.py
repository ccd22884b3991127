"""A folder's media to a store that a run can be asked for the nearest of: a gallery of its faces, one of its voices.

One row a medium, as Scorer.verify would average it. Extraction goes through the item cache, so that indexing again
costs the new media only; what a file is comes from its header, read once and kept in the store.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import ExtractionError, MediaError
from pipeline.extraction.skips import Skip, write_skips
from pipeline.manifest.known_media import known_path, read_known, write_known
from pipeline.manifest.measure import measure
from pipeline.manifest.media_folder import list_media
from pipeline.manifest.medium import Measured
from pipeline.media import MediaInfo
from pipeline.scoring.gallery import FOLDERS, write_gallery
from pipeline.scoring.scorer import joined
from pipeline.scoring.vectors import Medium, mean_vector

if TYPE_CHECKING:
    from pipeline.scoring.scorer import Scorer

SKIPPED = "skipped.csv"
_AT_ONCE = 4096  # media; their vectors are held together, 8 kB a video's faces
_HOLDS: Mapping[str, Callable[[MediaInfo], bool]] = {
    "face": lambda info: info.kind in ("video", "image"),
    "voice": lambda info: info.kind in ("video", "audio") and info.has_audio,
}

logger = logging.getLogger(__name__)


def index_folder(scorer: "Scorer", folder: Path, store: Path) -> dict[str, int]:
    """Write the galleries of a folder's faces and voices; counts of face, voice and skipped.

    A medium that could not be used is in skipped.csv with the reason, once for each modality it should have had. Raises
    ScoreError for a method without embeddings, ManifestError for an absent folder or one with files that must not be
    used, ExtractionError where nothing could be indexed.
    """
    scorer.refuse_without_embeddings("fill a store")
    listing = list_media(folder, "the folder to index")
    known = known_path(store)
    measured = measure(listing.root, listing.paths, read_known(known))
    write_known(known, measured.values())
    skips = [Skip(path, "index", one.reason) for path, one in measured.items() if one.info is None]
    counts: dict[str, int] = {}
    for modality, holds in _HOLDS.items():
        media = [_medium(listing.root, path, one) for path, one in measured.items() if one.info and holds(one.info)]
        counts[modality], skipped = _write(scorer, modality, media if scorer.model.takes(modality) else [], store)
        skips += skipped
    write_skips(store / SKIPPED, skips)
    logger.info("index: %d faces, %d voices, %d skipped", counts["face"], counts["voice"], len(skips))
    if not any(counts.values()):
        raise ExtractionError(f"{folder}: no medium gave a face or a voice ({len(skips)} skipped): {store / SKIPPED}")
    return {**counts, "skipped": len(skips)}


def _medium(root: Path, path: str, measured: Measured) -> Medium:
    duration = measured.info.duration if measured.info else None
    return Medium(path, root / path, measured.digest, measured.size, duration)


def _write(scorer: "Scorer", modality: str, media: Sequence[Medium], store: Path) -> tuple[int, list[Skip]]:
    """The gallery of one modality, some media at a time; how many it has, and what was skipped."""
    count, skips = 0, []
    model = {**scorer.described(), "modality": modality}
    with write_gallery(store / FOLDERS[modality], model) as gallery:
        for start in range(0, len(media), _AT_ONCE):
            part = media[start : start + _AT_ONCE]
            extraction = scorer.vectors.extract(modality, part)
            skips += extraction.skips
            found = {}
            for medium in part:
                if medium.item not in extraction.results:
                    continue
                matrix = extraction.results[medium.item]["embeddings"]
                try:
                    found[medium] = len(matrix), mean_vector([matrix])
                except MediaError as error:
                    skips.append(Skip(medium.item, "index", str(error)))
            if found:
                sizes, vectors = zip(*found.values(), strict=True)
                embeddings = scorer.model.embed(modality, np.stack(vectors))
                items, digests = zip(*((medium.item, medium.digest) for medium in found), strict=True)
                gallery.add(items, digests, sizes, joined(embeddings))
                count += len(found)
    return count, skips
