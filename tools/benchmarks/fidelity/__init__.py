"""The official training scripts beside ours, on the same feature files: `python -m tools.benchmarks.fidelity`."""
