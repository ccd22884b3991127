"""Media folder to one table of items: `python -m stages.manifest`."""

from pathlib import Path

from pipeline.manifest.build import Sources, build_manifest
from pipeline.manifest.schema import write_manifest
from pipeline.runtime.workspace import home
from pipeline.settings import Params
from stages.common import Artifacts, media_path, run_stage
from stages.imported import or_imported


@or_imported("manifest.parquet")
def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Find, check and measure the media that params.yaml names; write the manifest."""
    settings = params.manifest
    sources = Sources(media_path(params, ""), Path(settings.table), Path(settings.identities), home())
    write_manifest(outs.manifest, build_manifest(settings, sources))


if __name__ == "__main__":
    run_stage(main)
