"""Utterances to voice embeddings: `python -m stages.embed_voices`."""

from pipeline.extraction.decoding import ReadUtterance
from pipeline.extraction.item_cache import ItemCache
from pipeline.extraction.loop import Work, extract, items_at_once
from pipeline.extraction.packing import Embed, pack
from pipeline.extraction.prefill import prefill_embeddings
from pipeline.extraction.skips import refuse_too_many, write_skips
from pipeline.extraction.tasks import may_hold_voices, task_of
from pipeline.manifest.schema import read_manifest
from pipeline.runtime.workspace import items_path
from pipeline.settings import Params
from stages.common import Artifacts, media_path, run_stage
from stages.imported import or_imported


@or_imported("voices/embeddings.safetensors", "voices/index.parquet", "voices/skipped.csv")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Embed every item that can hold a voice, which a mute video cannot; write the packed store and skipped.csv."""
    from extractors.voices.voice import voice_extractor  # torch: not for feature files
    from pipeline.runtime.device import select_device

    settings, device = params.embed_voices, select_device()
    extractor = voice_extractor(settings, device)
    manifest = read_manifest(deps.manifest)
    rows = may_hold_voices(manifest).itertuples(index=False)
    read = ReadUtterance(extractor.preparer(), extractor.sample_rate, settings.remove_offset, settings.trim)
    fingerprint = extractor.fingerprint()
    tasks = [task_of(row, media_path(params, row.path), read, fingerprint) for row in rows]
    work = Work("embed_voices", Embed(extractor), items_at_once(device.type))
    with ItemCache(items_path()) as cache:
        prefill_embeddings(cache, [task.key for task in tasks], outs.voices)
        extraction = extract(work, tasks, cache)
    skipped = outs.voices / "skipped.csv"
    write_skips(skipped, extraction.skips)
    refuse_too_many(work.stage, extraction.skips, len(tasks), settings.max_skip_ratio, skipped)
    made_by = {
        **extractor.provenance(),
        "dimension": extractor.dimension,
        "sample_rate": extractor.sample_rate,
        "reading": {"remove_offset": settings.remove_offset, "trim": settings.trim},
    }
    pack(outs.voices, manifest, extraction.results, {task.item: task.key for task in tasks}, made_by)


if __name__ == "__main__":
    run_stage(main)
