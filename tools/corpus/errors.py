"""What can go wrong while the corpus is made.

CorpusError
 ├─ IngredientError   a package that the corpus is made from is absent or is not the pinned one
 └─ SettingsError     a number that makes no corpus
"""


class CorpusError(Exception):
    """Making the corpus failed; the message says what, which item, and what to do."""


class IngredientError(CorpusError):
    """A pinned ingredient is absent or differs from its digest."""


class SettingsError(CorpusError):
    """A setting is unknown, of the wrong type or out of range."""
