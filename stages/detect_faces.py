"""Sampled frames to face boxes: `python -m stages.detect_faces`."""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.extraction.decoding import SampleFrames
from pipeline.extraction.executors import device_here
from pipeline.extraction.face_table import FrameCounts, write_detections
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.loop import Extraction, extract
from pipeline.extraction.prefill import prefill_detections
from pipeline.extraction.rows import rows_in
from pipeline.extraction.skips import refuse_too_many, write_skips
from pipeline.extraction.steps import FaceDetection
from pipeline.extraction.tasks import MEDIA_COLUMNS, Tasks
from pipeline.manifest.schema import read_manifest
from pipeline.runtime.workspace import items_path
from pipeline.settings import DetectFacesSettings, Params
from stages.common import Artifacts, media_path, run_stage
from stages.imported import or_imported

logger = logging.getLogger("stages.detect_faces")


@or_imported("faces/detections.parquet", "faces/detect_skipped.csv")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Look for a face in the sampled frames of every item that has pictures; write boxes and detect_skipped.csv."""
    from extractors.faces.face import face_detector  # torch: not for feature files

    settings = params.detect_faces
    detector = face_detector(settings, device_here())
    step = FaceDetection(detector, SampleFrames(settings.frame_rate, settings.max_frames))
    manifest = read_manifest(deps.manifest, MEDIA_COLUMNS)
    manifest, media = manifest[manifest["kind"].isin(["video", "image"])], media_path(params, "")
    tasks = Tasks(lambda: step.tasks(rows_in(manifest), lambda row: media / row.path))
    prefill = partial(prefill_detections, table=outs.faces / "detections.parquet")
    with ItemCache(items_path()) as cache:
        extraction = extract(step.work, tasks, cache, prefill)
        _write(extraction, cache, step.made_by(), settings, outs.faces)


def _write(
    extraction: Extraction,
    cache: ItemCache,
    made_by: dict[str, object],
    settings: DetectFacesSettings,
    folder: Path,
) -> None:
    counts = FrameCounts()

    def judged() -> Iterator[tuple[str, str, Arrays]]:
        """The results; behind the last of them, refusal where too many have no face: then no table is published."""
        yield from counts.counted(extraction.results(cache))
        sampled, lost, without = counts.sampled, counts.sampled - counts.accepted, len(counts.faceless)
        logger.info("detect_faces: %d frames, %d without a face; %d clips without any", sampled, lost, without)
        skips, written = [*counts.faceless, *extraction.skips], folder / "detect_skipped.csv"
        write_skips(written, skips)
        refuse_too_many("detect_faces", skips, extraction.attempted, settings.max_skip_ratio, written)

    write_detections(folder / "detections.parquet", judged(), made_by)


if __name__ == "__main__":
    run_stage(main)
