"""Utterances to voice embeddings: `python -m stages.embed_voices`."""

from collections.abc import Sequence

import numpy as np

from pipeline.errors import MediaError
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.loop import Work, extract, items_at_once
from pipeline.extraction.packing import embedding_result, pack
from pipeline.extraction.prefill import seed_embeddings
from pipeline.extraction.skips import refuse_too_many, write_skips
from pipeline.manifest.schema import may_hold_voices, read_manifest
from pipeline.runtime.workspace import items_path
from pipeline.settings import Params
from stages import decoding
from stages.common import Artifacts, provenance, run_stage
from stages.imported import or_imported
from stages.tasks import task_of


@or_imported("voices/embeddings.safetensors", "voices/index.parquet", "voices/skipped.csv")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Embed every item that can hold a voice, which a mute video cannot; write the packed store and skipped.csv."""
    from extractors.registry import voice_embedder  # torch: not for feature files
    from pipeline.runtime.device import select_device

    settings, device = params.embed_voices, select_device()
    embedder = voice_embedder(settings, device)
    manifest = read_manifest(deps.manifest)
    rows = may_hold_voices(manifest).itertuples(index=False)
    listening = decoding.Listening(embedder.sample_rate, settings.remove_offset, settings.trim)
    tasks = [task_of(params, row, listening, embedder.fingerprint(), *listening.made_by) for row in rows]

    def infer(waveforms: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
        return [embedding_result(vector[None], embedder.dimension) for vector in embedder(waveforms)]

    work = Work("embed_voices", decoding.waveform, infer, items_at_once(device.type))
    with ItemCache(items_path()) as cache:
        seed_embeddings(cache, [task.key for task in tasks], outs.voices)
        extraction = extract(work, tasks, cache)
    skipped = outs.voices / "skipped.csv"
    write_skips(skipped, extraction.skips)
    refuse_too_many(work.stage, extraction.skips, len(tasks), settings.max_skip_ratio, skipped)
    pack(outs.voices, manifest, extraction.results, {task.item: task.key for task in tasks}, provenance(embedder))


if __name__ == "__main__":
    run_stage(main)
