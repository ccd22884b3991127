"""Who trains, who is tried, and on which trials: splits, training pairs, verification lists and matching galleries."""

from pipeline.protocol.files import read_protocol, write_protocol
from pipeline.protocol.tables import ProtocolTables

__all__ = ["ProtocolTables", "read_protocol", "write_protocol"]
