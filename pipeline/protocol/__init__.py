"""Splits, training pairs, verification lists and matching galleries of a corpus.

`vocabulary` has the words, `sources` builds a protocol, `tables` holds, writes and reads it, `checks` refuses bad ones.
"""

from pipeline.protocol.tables import ProtocolTables, read_protocol, write_protocol

__all__ = ["ProtocolTables", "read_protocol", "write_protocol"]
