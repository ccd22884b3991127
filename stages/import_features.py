"""Feature files to what extraction would have written of media: `python -m stages.import_features`."""

import logging
from pathlib import Path

from pipeline.extraction.face_table import write_detections
from pipeline.extraction.skips import write_skips
from pipeline.files import write_text
from pipeline.manifest.schema import empty_manifest, write_manifest
from pipeline.protocol.sources.feature_files import pack_features
from pipeline.settings import Params
from stages.common import Artifacts, run_stage

logger = logging.getLogger("stages.import_features")


def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Write both stores, without any item or face, where features.source is csv; otherwise only which source it is."""
    write_text(outs.features / "source.txt", f"{params.features.source}\n")
    if params.features.source == "media":
        logger.info("import_features: nothing, because features.source is media")
        return
    imported = Artifacts(outs.features)
    write_manifest(imported.manifest, empty_manifest())
    write_detections(imported.faces / "detections.parquet", [], {})
    write_skips(imported.faces / "detect_skipped.csv", [])
    folder = Path(params.features.folder)
    pack_features(folder, "face", imported.faces)
    pack_features(folder, "voice", imported.voices)


if __name__ == "__main__":
    run_stage(main)
