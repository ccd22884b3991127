"""Sampled frames to face boxes: `python -m stages.detect_faces`."""

import logging
from pathlib import Path

from pipeline.extraction.decoding import SampleFrames
from pipeline.extraction.face_table import faceless, write_detections
from pipeline.extraction.item_cache import ItemCache
from pipeline.extraction.loop import Extraction, extract
from pipeline.extraction.prefill import prefill_detections
from pipeline.extraction.skips import refuse_too_many, write_skips
from pipeline.extraction.steps import FaceDetection
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
    from pipeline.runtime.device import select_device

    settings = params.detect_faces
    detector = face_detector(settings, select_device())
    step = FaceDetection(detector, SampleFrames(settings.frame_rate, settings.max_frames))
    manifest = read_manifest(deps.manifest)
    rows = manifest[manifest["kind"].isin(["video", "image"])].itertuples(index=False)
    tasks = step.tasks(rows, lambda row: media_path(params, row.path))
    with ItemCache(items_path()) as cache:
        prefill_detections(cache, [task.key for task in tasks], outs.faces / "detections.parquet")
        extraction = extract(step.work, tasks, cache)
    _write(extraction, {task.item: task.key for task in tasks}, step.made_by(), settings, outs.faces)


def _write(
    extraction: Extraction,
    keys: dict[str, str],
    made_by: dict[str, object],
    settings: DetectFacesSettings,
    folder: Path,
) -> None:
    results, skips = extraction.results, faceless(extraction.results)
    sampled, accepted = (
        sum(int(arrays[name].sum()) for arrays in results.values()) for name in ("sampled", "accepted")
    )
    counts = (sampled, sampled - accepted, len(skips))
    logger.info("detect_faces: %d frames, %d without a face; %d clips without any", *counts)
    skips += extraction.skips
    write_skips(folder / "detect_skipped.csv", skips)
    refuse_too_many("detect_faces", skips, len(keys), settings.max_skip_ratio, folder / "detect_skipped.csv")
    without = {skip.item for skip in skips}
    found = {item: arrays for item, arrays in results.items() if item not in without}
    write_detections(folder / "detections.parquet", found, keys, made_by)


if __name__ == "__main__":
    run_stage(main)
