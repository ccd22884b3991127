"""Whether SBNet finds the association that a corpus holds, and finds none once people's voices are exchanged."""
