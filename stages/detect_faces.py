"""Sampled frames to face boxes: `python -m stages.detect_faces`."""

import logging
from collections.abc import Sequence

import pandas as pd

from pipeline.config import load_params
from pipeline.detections import detection_result, write_detections
from pipeline.extraction import Task, Work, extract, items_at_once
from pipeline.item_cache import Arrays, ItemCache, item_key
from pipeline.media import MEDIA_VERSION, SampledFrame
from pipeline.seeding import seed_detections
from pipeline.skips import Skip, refuse_too_many, write_skips
from pipeline.workspace import items_path
from stages import decoding
from stages.common import ARTIFACTS, PARAMS, media_path, run_stage

FACES = ARTIFACTS / "faces"

logger = logging.getLogger("stages.detect_faces")


def main() -> None:
    """Look for a face in the sampled frames of every item that has pictures; write boxes and detect_skipped.csv."""
    params = load_params(PARAMS)
    if params.features.source == "csv":
        logger.info("detect_faces: no detections, because features.source is csv")
        write_skips(FACES / "detect_skipped.csv", [])
        write_detections(FACES / "detections.parquet", {}, {})
        return

    from extractors.registry import face_detector  # torch: kept out of the decode workers, which import this module
    from pipeline.device import select_device

    settings, device = params.detect_faces, select_device()
    detector = face_detector(settings, device)
    manifest = pd.read_parquet(ARTIFACTS / "manifest.parquet")
    seen = manifest[manifest["kind"].isin(["video", "image"])]
    sampling = decoding.Sampling(settings.frame_rate, settings.max_frames)
    made_by = (detector.fingerprint(), f"{sampling.frame_rate!r} Hz, {sampling.max_frames} frames")
    tasks = [
        Task(
            row.item,
            media_path(params, row.path),
            item_key(row.digest, MEDIA_VERSION, *made_by),
            sampling,
            row.digest,
            decoding.minutes(row.duration, row.size),
        )
        for row in seen.itertuples(index=False)
    ]

    def infer(clips: Sequence[list[SampledFrame]]) -> list[Arrays]:
        found = iter(detector([frame.image for clip in clips for frame in clip]))
        return [detection_result(clip, [next(found) for _ in clip]) for clip in clips]

    work = Work("detect_faces", decoding.frames, infer, items_at_once(device.type))
    with ItemCache(items_path()) as cache:
        seed_detections(cache, [task.key for task in tasks], FACES / "detections.parquet")
        extraction = extract(work, tasks, cache)
    results = {item: arrays for item, arrays in extraction.results.items() if len(arrays["frame"])}
    faceless = sorted(set(extraction.results) - set(results))
    reasons = {item: f"no face in {int(extraction.results[item]['sampled'][0])} sampled frame(s)" for item in faceless}
    skips = extraction.skips + [Skip(item, work.stage, reason) for item, reason in reasons.items()]
    looked, kept = (sum(int(a[k].sum()) for a in extraction.results.values()) for k in ("sampled", "accepted"))
    logger.info(
        "%s: %d frames, %d without a face; %d clips without any", work.stage, looked, looked - kept, len(faceless)
    )
    write_skips(FACES / "detect_skipped.csv", skips)
    refuse_too_many(work.stage, skips, len(tasks), settings.max_skip_ratio, FACES / "detect_skipped.csv")
    write_detections(FACES / "detections.parquet", results, {task.item: task.key for task in tasks})


if __name__ == "__main__":
    run_stage(main)
