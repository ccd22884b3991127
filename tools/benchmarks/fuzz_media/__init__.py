"""Damaged media by the thousand through the decode workers and the stages: `python -m tools.benchmarks.fuzz_media`."""
