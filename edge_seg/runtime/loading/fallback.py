"""What takes over from a model that fails again and again when no other is kept loaded."""

from dataclasses import replace

from edge_seg.errors import BackendUnavailable
from edge_seg.runtime.loading.candidate import LoadedModel
from edge_seg.runtime.loading.lineage import Order


class Fallback:
    """Names one way out after the other, each once: a robot must not load models for ever.

    Args:
        backend_is_free: another backend may be taken than that which serves.
    """

    def __init__(self, *, backend_is_free: bool) -> None:
        self._backend_is_free = backend_is_free
        self._worn: dict[str, tuple[str, ...]] = {}  # by digest: backends that failed with it
        self._tried: set[tuple[str, tuple[str, ...]]] = set()

    def forget(self) -> None:
        """Begin anew: somebody asked for a model."""
        self._worn.clear()
        self._tried.clear()

    def next(self, failing: LoadedModel, previous: Order | None) -> Order:
        """Give the previous model, then the failing one with the next backend.

        Args:
            failing: what serves.
            previous: the proven model before it, None for none.

        Raises:
            BackendUnavailable: nothing is left to try.
        """
        sha256, backend = failing.package.manifest_sha256, failing.model.report.backend
        self._worn[sha256] = tuple(sorted({*self._worn.get(sha256, ()), backend}))
        ways = [] if previous is None else [replace(previous, proven=True)]
        if self._backend_is_free:
            ways.append(Order(failing.request, failing.package))
        for way in ways:
            way = replace(way, without=self._worn.get(way.sha256, ()))
            if (way.sha256, way.without) not in self._tried:
                self._tried.add((way.sha256, way.without))
                return way
        raise BackendUnavailable(
            f'nothing is left to take over from {failing.model.identity} with {backend}',
            remedy='ask for another model, or set backend: auto to let other backends try',
        )
