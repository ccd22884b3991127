"""How the shipped voice encoder was trained: speech and two teachers in, weights and a model card out."""
