"""A trained run as a thing to call: its model file, where its vectors must come from, and its scores."""

from pipeline.scoring.model import MODEL, Model, load_model, save_model
from pipeline.scoring.similarity import similarity

__all__ = ["MODEL", "Model", "load_model", "save_model", "similarity"]
