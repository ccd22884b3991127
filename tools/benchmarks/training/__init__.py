"""What an epoch of VoxCeleb1's size costs, ours and the official script's: `python -m tools.benchmarks.training`."""
