"""Detected faces to embeddings: `python -m stages.embed_faces`."""

from functools import partial

from pipeline.extraction.executors import device_here
from pipeline.extraction.face_table import FaceTable
from pipeline.extraction.item_cache import ItemCache
from pipeline.extraction.loop import extract
from pipeline.extraction.packing import pack
from pipeline.extraction.prefill import prefill_embeddings
from pipeline.extraction.skips import read_skips, refuse_too_many, write_skips
from pipeline.extraction.steps import FaceEmbedding
from pipeline.extraction.tasks import MEDIA_COLUMNS, Tasks, rows_of
from pipeline.manifest.schema import read_manifest
from pipeline.runtime.workspace import items_path
from pipeline.settings import Params
from stages.common import Artifacts, media_path, run_stage
from stages.imported import or_imported


@or_imported("faces/embeddings.safetensors", "faces/index.parquet", "faces/skipped.csv")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Embed every detected face; write the packed store and skipped.csv, which includes what detection skipped."""
    from extractors.faces.face import face_extractor  # torch: not for feature files

    settings = params.embed_faces
    manifest = read_manifest(deps.manifest, MEDIA_COLUMNS).sort_values("item")
    table = FaceTable(deps.faces / "detections.parquet")
    step = FaceEmbedding(face_extractor(settings, device_here()), table.made_by())
    media = media_path(params, "")
    tasks = Tasks(lambda: step.tasks(rows_of(manifest, table), lambda row: media / row.path))
    with ItemCache(items_path()) as cache:
        extraction = extract(step.work, tasks, cache, partial(prefill_embeddings, folder=outs.faces))
        skipped = outs.faces / "skipped.csv"
        write_skips(skipped, [*read_skips(deps.faces / "detect_skipped.csv"), *extraction.skips])
        refuse_too_many("embed_faces", extraction.skips, extraction.attempted, settings.max_skip_ratio, skipped)
        pack(outs.faces, manifest, extraction.results(cache), step.made_by())


if __name__ == "__main__":
    run_stage(main)
