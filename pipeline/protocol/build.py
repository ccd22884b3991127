"""The protocol that params.yaml asks for, checked."""

from pathlib import Path

import pandas as pd

from pipeline.protocol.checks import check_protocol
from pipeline.protocol.corpus import read_corpus
from pipeline.protocol.sources.generated import generate
from pipeline.protocol.sources.voxceleb_lists.imported import import_lists
from pipeline.protocol.tables import ProtocolTables
from pipeline.settings import ProtocolSettings


def build_protocol(
    manifest: pd.DataFrame, faces: pd.DataFrame, voices: pd.DataFrame, settings: ProtocolSettings, lists: Path
) -> ProtocolTables:
    """Build the protocol for a manifest and the indexes of its two stores, and check every row of it.

    `lists` is the folder of the released lists, looked at for source voxceleb_lists only. Raises ProtocolError.
    """
    corpus = read_corpus(manifest, faces, voices)
    if settings.source == "voxceleb_lists":
        tables, held_out = import_lists(corpus, faces, voices, lists, settings)
    else:
        tables, held_out = generate(corpus, settings)
    check_protocol(tables, corpus, held_out)
    return tables
