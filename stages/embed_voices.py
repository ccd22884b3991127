"""Utterances to voice embeddings: `python -m stages.embed_voices`."""

from functools import partial

from pipeline.extraction.executors import device_here
from pipeline.extraction.item_cache import ItemCache
from pipeline.extraction.loop import extract
from pipeline.extraction.packing import pack
from pipeline.extraction.prefill import prefill_embeddings
from pipeline.extraction.rows import rows_in
from pipeline.extraction.skips import refuse_too_many, write_skips
from pipeline.extraction.steps import VoiceEmbedding
from pipeline.extraction.tasks import MEDIA_COLUMNS, Tasks, may_hold_voices
from pipeline.manifest.schema import read_manifest
from pipeline.runtime.workspace import items_path
from pipeline.settings import Params
from stages.common import Artifacts, media_path, run_stage
from stages.imported import or_imported


@or_imported("voices/embeddings.safetensors", "voices/index.parquet", "voices/skipped.csv")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Embed every item that can hold a voice, which a mute video cannot; write the packed store and skipped.csv."""
    from extractors.voices.voice import voice_extractor  # torch: not for feature files

    settings, manifest = params.embed_voices, read_manifest(deps.manifest, MEDIA_COLUMNS)
    step = VoiceEmbedding(voice_extractor(settings, device_here()), settings.remove_offset, settings.trim)
    rows, media = may_hold_voices(manifest), media_path(params, "")
    tasks = Tasks(lambda: step.tasks(rows_in(rows), lambda row: media / row.path))
    with ItemCache(items_path()) as cache:
        extraction = extract(step.work, tasks, cache, partial(prefill_embeddings, folder=outs.voices))
        skipped = outs.voices / "skipped.csv"
        write_skips(skipped, extraction.skips)
        refuse_too_many("embed_voices", extraction.skips, extraction.attempted, settings.max_skip_ratio, skipped)
        pack(outs.voices, manifest, extraction.results(cache), step.made_by())


if __name__ == "__main__":
    run_stage(main)
