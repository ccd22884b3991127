"""What a GPU gives the same results as a CPU for, and how fast: `python -m tools.benchmarks.gpu --minutes 8`."""
