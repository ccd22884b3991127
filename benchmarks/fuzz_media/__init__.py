"""Damaged media by the thousand through the decode workers and the stages: `python -m benchmarks.fuzz_media`."""
