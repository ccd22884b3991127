"""Media in, vectors out: one model family a file, weights with provenance."""
