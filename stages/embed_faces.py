"""Detected faces to embeddings: `python -m stages.embed_faces`."""

from pipeline.extraction.face_table import read_faces
from pipeline.extraction.item_cache import ItemCache
from pipeline.extraction.loop import extract
from pipeline.extraction.packing import pack
from pipeline.extraction.prefill import prefill_embeddings
from pipeline.extraction.skips import read_skips, refuse_too_many, write_skips
from pipeline.extraction.steps import FaceEmbedding
from pipeline.manifest.schema import read_manifest
from pipeline.runtime.workspace import items_path
from pipeline.settings import Params
from stages.common import Artifacts, media_path, run_stage
from stages.imported import or_imported


@or_imported("faces/embeddings.safetensors", "faces/index.parquet", "faces/skipped.csv")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Embed every detected face; write the packed store and skipped.csv, which includes what detection skipped."""
    from extractors.faces.face import face_extractor  # torch: not for feature files
    from pipeline.runtime.device import select_device

    settings, manifest = params.embed_faces, read_manifest(deps.manifest)
    found, detected_by = read_faces(deps.faces / "detections.parquet")
    step = FaceEmbedding(face_extractor(settings, select_device()), detected_by)
    described = {row.item: row for row in manifest.itertuples(index=False)}
    faces = ((described[item], faces) for item, faces in found.items())
    tasks = step.tasks(faces, lambda row: media_path(params, row.path))
    with ItemCache(items_path()) as cache:
        prefill_embeddings(cache, [task.key for task in tasks], outs.faces)
        extraction = extract(step.work, tasks, cache)
    skipped = outs.faces / "skipped.csv"
    write_skips(skipped, [*read_skips(deps.faces / "detect_skipped.csv"), *extraction.skips])
    refuse_too_many("embed_faces", extraction.skips, len(tasks), settings.max_skip_ratio, skipped)
    pack(outs.faces, manifest, extraction.results, {task.item: task.key for task in tasks}, step.made_by())


if __name__ == "__main__":
    run_stage(main)
