"""Media folder to one table of items: `python -m stages.manifest`."""

from pathlib import Path

from pipeline.config import load_params
from pipeline.manifest.build import Sources, build_manifest
from pipeline.manifest.schema import write_manifest
from pipeline.workspace import home
from stages.common import ARTIFACTS, PARAMS, media_path, run_stage


def main() -> None:
    """Find, check and measure the media that params.yaml names; write artifacts/manifest.parquet."""
    params = load_params(PARAMS)
    settings = params.manifest
    sources = Sources(media_path(params, ""), Path(settings.table), Path(settings.identities), home())
    write_manifest(ARTIFACTS / "manifest.parquet", build_manifest(settings, sources))


if __name__ == "__main__":
    run_stage(main)
