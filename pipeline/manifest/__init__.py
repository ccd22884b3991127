"""The media folder as one table of items: layouts find them, checks refuse contradictions, measuring fills it."""
