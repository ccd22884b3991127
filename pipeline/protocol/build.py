"""The protocol that params.yaml asks for, checked."""

from pipeline.protocol.checks import check_protocol
from pipeline.protocol.corpus import Corpus
from pipeline.protocol.generated import generate
from pipeline.protocol.tables import ProtocolTables
from pipeline.settings import Protocol


def build_protocol(corpus: Corpus, settings: Protocol) -> ProtocolTables:
    """Build the protocol from its source and check every row of it; raises ProtocolError."""
    tables, held_out = generate(corpus, settings)
    check_protocol(tables, corpus, held_out)
    return tables
