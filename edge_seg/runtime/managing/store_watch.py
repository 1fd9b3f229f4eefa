"""Notices that a name in the model store means another model than before."""

from collections.abc import Callable
import logging

from edge_seg.errors import ModelError, ModelNotFound

_log = logging.getLogger(__name__)


class StoreWatch:
    """Looks at what a reference resolves to; used by one thread.

    The first look only sets the baseline: a manager that starts does not roll anything out. A
    model is reported once, whether its rollout succeeds or not, so a bad one is not tried again
    and again. Half-copied entries are no concern: the store never resolves to them.

    Args:
        reference: 'name', 'name@latest' or 'name@label'.
        resolve: gives 'name@version' for it; raises ModelError.
    """

    def __init__(self, reference: str, resolve: Callable[[str], str]) -> None:
        self._reference = reference
        self._resolve = resolve
        self._known: str | None = None
        self._looked = False
        self._complaint = ''

    @property
    def known(self) -> str:
        """The model that the reference meant at the last look, '' for none."""
        return self._known or ''

    def look(self) -> str | None:
        """Return 'name@version' when the reference means a new one since the last look."""
        found = self._found()
        first, self._looked = not self._looked, True
        if found is None or found == self._known:
            return None
        self._known = found
        return None if first else found

    def _found(self) -> str | None:
        try:
            found = self._resolve(self._reference)
        except ModelNotFound:
            return None
        except ModelError as problem:
            if str(problem) != self._complaint:  # once, not at every look
                self._complaint = str(problem)
                _log.warning('watching %s: %s', self._reference, problem)
            return None
        self._complaint = ''
        return found
