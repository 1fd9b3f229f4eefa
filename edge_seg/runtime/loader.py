"""The loader: brings models into the slot, one request at a time, in a thread of its own."""

from collections.abc import Callable
import logging
import threading

from edge_seg.core.values import Size
from edge_seg.errors import LoadInProgress, LoadStage, ModelNotFound, ModelRejected
from edge_seg.models.store import ModelPackage
from edge_seg.runtime.candidate import Candidate, CandidateFactory
from edge_seg.runtime.model_status import StatusBoard
from edge_seg.runtime.serving import ServingModel
from edge_seg.runtime.slot import ModelSlot

logger = logging.getLogger(__name__)

DRAIN_TIMEOUT_S = 5.0
"""Longer than any frame takes: the previous model is then closed here, off the frame path."""


class ModelLoader:
    """Loads models in the background while another one serves.

    Args:
        factory: makes candidates.
        slot: where a good candidate goes.
        board: told of every stage.
        camera_size: present size of the camera image, None while no frame came.
        on_served: told of a candidate right after the swap, in the loading thread.
        on_done: told how a background request ended (success, message), in the loading thread.
    """

    def __init__(
        self,
        factory: CandidateFactory,
        slot: ModelSlot[ServingModel],
        board: StatusBoard,
        *,
        camera_size: Callable[[], Size | None],
        on_served: Callable[[Candidate], None],
        on_done: Callable[[bool, str], None],
    ) -> None:
        self._factory = factory
        self._slot = slot
        self._board = board
        self._camera_size = camera_size
        self._on_served = on_served
        self._on_done = on_done
        self._lock = threading.Lock()  # guards everything below
        self._thread: threading.Thread | None = None
        self._busy = False
        self._closed = False
        self._served: ModelPackage | None = None
        self._previous: ModelPackage | None = None

    @property
    def served_reference(self) -> str:
        """What to ask for to get the model that serves: name@version, or a path; '' for none."""
        with self._lock:
            return '' if self._served is None else self._factory.reference(self._served)

    def load(self, request: str) -> None:
        """Load a model and make it serve, in the calling thread.

        Raises:
            LoadInProgress: another request is being served.
            ModelRejected: names the stage; what served before serves on.
        """
        package = self._begin(request)
        try:
            self._bring_in(package)
        finally:
            self._end()

    def check(self, request: str) -> None:
        """Tell whether ``request`` could begin now; changes nothing.

        Raises:
            LoadInProgress: another request is being served.
            ModelRejected: it does not resolve.
        """
        with self._lock:
            self._refuse_when_busy(request)
        self._factory.resolve(request)

    def request(self, request: str) -> None:
        """Begin to load a model in the background, after looking it up.

        Raises:
            LoadInProgress: another request is being served.
            ModelRejected: it does not resolve.
        """
        package = self._begin(request)
        thread = threading.Thread(
            target=self._run, args=(package,), name='model_loader', daemon=True
        )
        with self._lock:
            self._thread = thread
        thread.start()

    def request_previous(self) -> None:
        """Begin to bring back the model that served before the present one.

        Raises:
            LoadInProgress: another request is being served.
            ModelNotFound: no other model served since the node was configured.
        """
        with self._lock:
            previous = self._previous
        if previous is None:
            raise ModelNotFound(
                'there is no previous model: none was replaced since the node was configured',
                remedy='set the parameter model to the one you want',
            )
        self.request(self._factory.reference(previous))

    def close(self, timeout_s: float) -> bool:
        """Take no more requests, give up the one under way, wait for its thread.

        Returns:
            False when the thread did not end in time; its candidate is then closed, not served,
            when it does.
        """
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _begin(self, request: str) -> ModelPackage:
        with self._lock:
            self._refuse_when_busy(request)
            self._busy = True
        try:
            self._board.requested(request)
            self._board.entered(LoadStage.RESOLVE)
            return self._factory.resolve(request)
        except ModelRejected as rejection:
            self._board.rejected(rejection)
            self._end()
            raise

    def _refuse_when_busy(self, request: str) -> None:
        if self._closed:
            raise LoadInProgress('the node is being cleaned up', remedy='configure it again')
        if self._busy:
            raise LoadInProgress(
                f'{self._board.status.requested!r} is being loaded',
                remedy=f'ask for {request!r} again when ~/model_status says serving',
            )

    def _end(self) -> None:
        with self._lock:
            self._busy = False

    def _run(self, package: ModelPackage) -> None:
        try:
            self._bring_in(package)
        except ModelRejected as rejection:
            logger.error('%s was refused at %s', package.identity, rejection)
            success, message = False, str(rejection)
        else:
            success, message = True, f'serving {package.identity}'
        self._end()
        self._on_done(success, message)

    def _bring_in(self, package: ModelPackage) -> None:
        try:
            candidate = self._factory.make(
                package, camera=self._camera_size(), on_stage=self._board.entered
            )
            self._swap(candidate)
        except ModelRejected as rejection:
            self._board.rejected(rejection)
            raise
        except Exception as bug:  # a bug in a backend must not leave 'loading' behind for ever
            logger.exception('a bug while loading %s', package.identity)
            unexpected = ModelRejected(LoadStage.LOAD, f'{type(bug).__name__}: {bug}')
            self._board.rejected(unexpected)
            raise unexpected from bug

    def _swap(self, candidate: Candidate) -> None:
        self._board.entered(LoadStage.SWAP)
        with self._lock:
            closed = self._closed
            if not closed:
                replaced = self._slot.exchange(candidate.model)
                self._previous, self._served = self._served, candidate.package
        if closed:
            candidate.model.close()
            raise ModelRejected(LoadStage.SWAP, 'the node is being cleaned up')
        self._on_served(candidate)
        self._board.serving(candidate.model)
        if replaced is not None:
            replaced.release(drain_timeout_s=DRAIN_TIMEOUT_S)
