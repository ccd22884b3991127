"""Stages on a corpus of many small files, without a model."""
