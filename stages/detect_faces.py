"""Sampled frames to face boxes: `python -m stages.detect_faces`."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pipeline.extraction.face_table import detection_result, faceless, write_detections
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.loop import Extraction, Work, extract, items_at_once
from pipeline.extraction.prefill import seed_detections
from pipeline.extraction.skips import refuse_too_many, write_skips
from pipeline.manifest.schema import read_manifest
from pipeline.media import SampledFrame
from pipeline.runtime.workspace import items_path
from pipeline.settings import DetectFacesSettings, Params
from stages import decoding
from stages.common import Artifacts, run_stage
from stages.imported import or_imported
from stages.tasks import task_of

logger = logging.getLogger("stages.detect_faces")


@or_imported("faces/detections.parquet", "faces/detect_skipped.csv")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Look for a face in the sampled frames of every item that has pictures; write boxes and detect_skipped.csv."""
    from extractors.registry import face_detector  # torch: not for feature files
    from pipeline.runtime.device import select_device

    settings, device = params.detect_faces, select_device()
    detector = face_detector(settings, device)
    manifest = read_manifest(deps.manifest)
    sampling = decoding.Sampling(settings.frame_rate, settings.max_frames)
    made_by = (detector.fingerprint(), f"{sampling.frame_rate!r} Hz, {sampling.max_frames} frames")
    rows = manifest[manifest["kind"].isin(["video", "image"])].itertuples(index=False)
    tasks = [task_of(params, row, sampling, *made_by) for row in rows]

    def infer(clips: Sequence[list[SampledFrame]]) -> list[Arrays]:
        found = iter(detector([frame.image for clip in clips for frame in clip]))
        return [detection_result(clip, [next(found) for _ in clip]) for clip in clips]

    work = Work("detect_faces", decoding.frames, infer, items_at_once(device.type))
    with ItemCache(items_path()) as cache:
        seed_detections(cache, [task.key for task in tasks], outs.faces / "detections.parquet")
        extraction = extract(work, tasks, cache)
    _write(extraction, {task.item: task.key for task in tasks}, settings, outs.faces)


def _write(extraction: Extraction, keys: dict[str, str], settings: DetectFacesSettings, folder: Path) -> None:
    results, skips = extraction.results, faceless(extraction.results)
    looked, kept = (sum(int(arrays[name].sum()) for arrays in results.values()) for name in ("sampled", "accepted"))
    counts = (looked, looked - kept, len(skips))
    logger.info("detect_faces: %d frames, %d without a face; %d clips without any", *counts)
    skips += extraction.skips
    write_skips(folder / "detect_skipped.csv", skips)
    refuse_too_many("detect_faces", skips, len(keys), settings.max_skip_ratio, folder / "detect_skipped.csv")
    without = {skip.item for skip in skips}
    write_detections(folder / "detections.parquet", {k: v for k, v in results.items() if k not in without}, keys)


if __name__ == "__main__":
    run_stage(main)
