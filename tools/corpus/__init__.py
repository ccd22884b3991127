"""Synthetic people who talk: faces and voices that share a planted, known association."""
