"""Media folder to one table of items: `python -m stages.manifest`."""

import json
from pathlib import Path

from pipeline.errors import RunError
from pipeline.manifest.build import Sources, build_manifest
from pipeline.manifest.schema import write_manifest
from pipeline.manifest.watch import media_digest
from pipeline.runtime.workspace import home, watched_path
from pipeline.settings import Params
from stages.common import Artifacts, media_path, run_stage
from stages.imported import or_imported


@or_imported("manifest.parquet")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Find, check and measure the media that params.yaml names; write the manifest."""
    settings = params.manifest
    sources = Sources(media_path(params, ""), Path(settings.table), Path(settings.identities), home())
    manifest = build_manifest(settings, sources)
    if settings.listed and sources.media.is_dir():
        _refuse_later_media(sources.media, deps.media)
    write_manifest(outs.manifest, manifest)


def _refuse_later_media(media: Path, listed: Path) -> None:
    """Raise RunError where the folder is no longer what media.json says: DVC would keep the manifest as of that state.

    Where no list stands between them, DVC looks at the folder itself once the stage has ended.
    """
    if media_digest(media, watched_path()) != json.loads(listed.read_text(encoding="utf-8")):
        raise RunError(f"files in {media} have changed since {listed} was made: run `dvc repro` again")


if __name__ == "__main__":
    run_stage(main)
