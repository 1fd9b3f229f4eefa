"""Which models are not taken from the store unasked, and until when."""

import math
import time

from edge_seg.errors import MemoryShort, ModelRejected, NotBuilt, StoreError

PASSING = (MemoryShort, NotBuilt, StoreError)
"""What is no fault of the model: memory, an engine for this machine, or room in the cache."""
RETRY_S = 60.0
"""For how long a model is left alone that lacked one of them: to try it means to read it all."""


class Refusals:
    """Remembers models that were refused, withdrawn or rolled back; not thread-safe.

    Args:
        exclusive: to try a model takes the present one out of service, and so is not repeated.
    """

    def __init__(self, *, exclusive: bool) -> None:
        self._exclusive = exclusive
        self._until_s: dict[str, float] = {}  # by digest of the manifest

    def add(self, sha256: str, rejection: ModelRejected | None = None) -> None:
        """Note a model, for good unless ``rejection`` is for what may be otherwise by and by.

        One that was given up is noted for good, too: it was a rollback that gave it up.
        """
        blameless = rejection is not None and isinstance(rejection.__cause__, PASSING)
        passing = blameless and not self._exclusive
        self._until_s[sha256] = time.monotonic() + RETRY_S if passing else math.inf

    def forget(self, sha256: str) -> None:
        """Begin anew with a model that somebody asked for."""
        self._until_s.pop(sha256, None)

    def has(self, sha256: str) -> bool:
        """Tell whether a model is to be left alone."""
        return time.monotonic() < self._until_s.get(sha256, -math.inf)
