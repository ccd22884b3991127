"""Media folder to one table of items: `python -m stages.manifest`."""

import logging
from pathlib import Path

from pipeline.manifest.build import Sources, build_manifest
from pipeline.manifest.schema import empty_manifest, write_manifest
from pipeline.runtime.workspace import home
from pipeline.settings import Params
from stages.common import Artifacts, media_path, run_stage

logger = logging.getLogger("stages.manifest")


def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Find, check and measure the media that params.yaml names; write the manifest, empty for feature files."""
    settings = params.manifest
    if params.features.source == "csv":
        logger.info("manifest: empty, because features.source is csv; %s was not looked at", settings.media)
        write_manifest(outs.manifest, empty_manifest())
        return
    sources = Sources(media_path(params, ""), Path(settings.table), Path(settings.identities), home())
    write_manifest(outs.manifest, build_manifest(settings, sources))


if __name__ == "__main__":
    run_stage(main)
