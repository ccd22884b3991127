"""Detected faces to FaceNet embeddings: `python -m stages.embed_faces`."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.errors import MediaError
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.loop import Task, Work, extract, items_at_once
from pipeline.extraction.packing import embedding_result, pack
from pipeline.extraction.prefill import seed_embeddings
from pipeline.extraction.rows import rows_by_item
from pipeline.extraction.skips import read_skips, refuse_too_many, write_skips
from pipeline.manifest.schema import read_manifest
from pipeline.runtime.workspace import items_path
from pipeline.settings import Params
from stages import decoding
from stages.common import Artifacts, provenance, run_stage
from stages.imported import or_imported
from stages.tasks import task_of


@or_imported("faces/embeddings.safetensors", "faces/index.parquet", "faces/skipped.csv")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Embed every detected face; write the packed store and skipped.csv, which includes what detection skipped."""
    from extractors.registry import face_embedder  # torch: not for feature files
    from pipeline.runtime.device import select_device

    settings, device = params.embed_faces, select_device()
    embedder = face_embedder(settings, device)
    manifest = read_manifest(deps.manifest)
    tasks = _tasks(params, deps, manifest, embedder.fingerprint())

    def infer(clips: Sequence[decoding.Crops]) -> list[Arrays | MediaError]:
        vectors = embedder([image for clip in clips for image in clip.images])
        ends = np.cumsum([len(clip.images) for clip in clips])[:-1]
        parts = zip(clips, np.split(vectors, ends), strict=True)
        return [embedding_result(part, embedder.dimension, clip.frames) for clip, part in parts]

    work = Work("embed_faces", decoding.crops, infer, items_at_once(device.type))
    with ItemCache(items_path()) as cache:
        seed_embeddings(cache, [task.key for task in tasks], outs.faces)
        extraction = extract(work, tasks, cache)
    skipped = outs.faces / "skipped.csv"
    write_skips(skipped, [*read_skips(deps.faces / "detect_skipped.csv"), *extraction.skips])
    refuse_too_many(work.stage, extraction.skips, len(tasks), settings.max_skip_ratio, skipped)
    pack(outs.faces, manifest, extraction.results, {task.item: task.key for task in tasks}, provenance(embedder))


def _tasks(params: Params, deps: Artifacts, manifest: pd.DataFrame, fingerprint: str) -> list[Task]:
    described = {row.item: row for row in manifest.itertuples(index=False)}
    faces = pd.read_parquet(deps.faces / "detections.parquet")
    frames = faces["frame"].to_numpy(np.int32)
    boxes = faces[["x1", "y1", "x2", "y2"]].to_numpy(np.float32)
    tasks = []
    for item, rows in rows_by_item(faces).items():
        where = hashlib.sha256(frames[rows].tobytes() + boxes[rows].tobytes()).hexdigest()
        detail = decoding.Boxes(tuple(frames[rows].tolist()), boxes[rows], params.embed_faces.margin)
        tasks.append(task_of(params, described[item], detail, fingerprint, where))
    return tasks


if __name__ == "__main__":
    run_stage(main)
