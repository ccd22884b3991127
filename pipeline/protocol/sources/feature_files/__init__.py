"""The authors' CSV features as an entry after the extractors: stores and a protocol from their files alone."""
