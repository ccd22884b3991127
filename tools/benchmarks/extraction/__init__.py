"""Extraction by the stages against the plain loops that researchers write: `python -m tools.benchmarks.extraction`."""
