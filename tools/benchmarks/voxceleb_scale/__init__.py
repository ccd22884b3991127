"""Training, evaluation and their control at VoxCeleb1's size, on embeddings whose truth is planted."""
