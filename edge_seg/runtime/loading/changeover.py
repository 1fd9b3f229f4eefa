"""Takes one model from its files into service, and brings back what had to make room for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import replace
import logging
import threading

from edge_seg.core.values import Size
from edge_seg.errors import EdgeSegError, LoadStage, ModelRejected
from edge_seg.models.package import ModelPackage
from edge_seg.runtime.loading.candidate import CandidateFactory, LoadedModel
from edge_seg.runtime.loading.compiling import Prepared
from edge_seg.runtime.loading.lineage import Order
from edge_seg.runtime.loading.model_status import StatusBoard
from edge_seg.runtime.loading.succession import Succession

logger = logging.getLogger(__name__)


class Changeover:
    """Every stage from the files to the swap. One thread at a time; ``close`` from any.

    Args:
        factory: makes candidates.
        succession: takes them into service.
        board: told of every stage.
        exclusive: unload the present model before the next one is loaded.
        camera_size: present size of the camera image, None while no frame came.
    """

    def __init__(
        self,
        factory: CandidateFactory,
        succession: Succession,
        board: StatusBoard,
        *,
        exclusive: bool,
        camera_size: Callable[[], Size | None],
    ) -> None:
        self._factory = factory
        self._succession = succession
        self._board = board
        self._exclusive = exclusive
        self._camera_size = camera_size
        self._closed = threading.Event()
        self._stage = LoadStage.RESOLVE

    def run(self, order: Order) -> None:
        """Make a model serve.

        Raises:
            ModelRejected: names the stage; what served before serves on, or again.
        """
        try:
            with self._refusing(order.package):
                prepared = self._factory.prepare(
                    order.package, on_stage=self._enter, without=order.without
                )
                served = self._succession.served
                if self._exclusive and served is not None:
                    self._install_alone(order, prepared, served)
                else:
                    self._install(order, prepared)
        except ModelRejected as rejection:
            if not self._closed.is_set():
                self._board.rejected(rejection)
            raise

    def close(self) -> None:
        """Enter no further stage, and tell of nothing any more."""
        self._closed.set()

    def _install(
        self,
        order: Order,
        prepared: Prepared,
        *,
        instead_of: ModelRejected | None = None,
        build_engines: bool = True,
    ) -> None:
        candidate = self._factory.bring_up(
            prepared,
            camera=self._camera_size(),
            on_stage=self._enter,
            build_engines=build_engines,
        )
        with ExitStack() as undo:
            undo.callback(candidate.model.close)
            self._enter(LoadStage.SWAP)
            undo.pop_all()
        self._succession.install(
            replace(candidate, request=order.request),
            wanted=lambda: not self._factory.cancelled,
            proven=order.proven,
            instead_of=instead_of,
        )
        gap_s = self._board.status.gap_s
        if gap_s:
            logger.warning('no model served for %.2f s while models were exchanged', gap_s)

    def _install_alone(self, order: Order, prepared: Prepared, served: LoadedModel) -> None:
        """Unload what serves first; load it again when the other one is refused."""
        with self._factory.keep(served.package):
            self._succession.vacate()
            self._board.made_room()
            try:
                with self._refusing(order.package):
                    # Nothing serves: not for the minutes that building an engine takes.
                    self._install(order, prepared, build_engines=False)
            except ModelRejected as rejection:
                self._restore(served, rejection)
                raise

    def _restore(self, served: LoadedModel, rejection: ModelRejected) -> None:
        package = served.package
        logger.warning('loading %s again', package.identity)
        try:
            with self._refusing(package):
                self._factory.renew()  # that the other one was given up is no reason to end here
                prepared = self._factory.prepare(package, on_stage=self._enter)
                self._install(Order(served.request, package), prepared, instead_of=rejection)
        except ModelRejected as failure:
            raise ModelRejected(
                rejection.stage,
                f'{rejection.met.partition(": ")[2]}; nor could {package.identity} be loaded '
                f'again ({failure}): no model serves',
                expected=rejection.expected,
                remedy=rejection.remedy,
            ) from failure

    def _enter(self, stage: LoadStage) -> None:
        if self._closed.is_set():
            raise ModelRejected(stage, 'the node is being cleaned up')
        self._stage = stage
        self._board.entered(stage)

    @contextmanager
    def _refusing(self, package: ModelPackage) -> Iterator[None]:
        """Refuse the model whatever goes wrong: a bug must not leave 'loading' behind for ever."""
        try:
            yield
        except ModelRejected:
            raise
        except EdgeSegError as error:
            raise ModelRejected(
                self._stage, error.met, expected=error.expected, remedy=error.remedy
            ) from error
        except Exception as bug:
            logger.exception('a bug while loading %s', package.identity)
            raise ModelRejected(self._stage, f'{type(bug).__name__}: {bug}') from bug
