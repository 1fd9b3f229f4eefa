"""The loader: serves requests for models, one at a time, in a thread of its own."""

from collections.abc import Callable
from dataclasses import replace
import logging
import threading

from edge_seg.core.values import Size
from edge_seg.errors import LoadInProgress, ModelNotFound, ModelRejected, NoActiveModel
from edge_seg.models.store import ModelPackage
from edge_seg.runtime.loading.candidate import CandidateFactory
from edge_seg.runtime.loading.changeover import Changeover
from edge_seg.runtime.loading.fallback import Fallback
from edge_seg.runtime.loading.lineage import Order
from edge_seg.runtime.loading.model_status import StatusBoard
from edge_seg.runtime.loading.refusals import Refusals
from edge_seg.runtime.loading.succession import Succession

logger = logging.getLogger(__name__)


class ModelLoader:
    """Loads models in the background while another one serves.

    Args:
        factory: makes candidates.
        succession: takes them into service.
        board: told of every stage.
        exclusive: unload the present model before the next one is loaded.
        camera_size: present size of the camera image, None while no frame came.
        on_done: told how a background request ended (number, success, message), in the loading
            thread, when the next one may have begun already.
    """

    def __init__(
        self,
        factory: CandidateFactory,
        succession: Succession,
        board: StatusBoard,
        *,
        exclusive: bool,
        camera_size: Callable[[], Size | None],
        on_done: Callable[[int, bool, str], None],
    ) -> None:
        self._factory = factory
        self._succession = succession
        self._board = board
        self._changeover = Changeover(
            factory, succession, board, exclusive=exclusive, camera_size=camera_size
        )
        self._on_done = on_done
        self._lock = threading.Lock()  # guards everything below
        self._thread: threading.Thread | None = None
        self._busy = False
        self._closed = False
        self._fallback = Fallback(backend_is_free=factory.backend_is_free)
        self._refusals = Refusals(exclusive=exclusive)
        self._last_unfollowed = ''  # why the store was not followed

    @property
    def served_reference(self) -> str:
        """What to ask for to get the model that serves: name@version, or a path; '' for none."""
        served = self._succession.served
        return '' if served is None else self._factory.reference(served.package)

    @property
    def request_number(self) -> int:
        """Number of the last request that began."""
        return self._board.status.request_id

    def load(self, request: str) -> None:
        """Load a model and make it serve, in the calling thread.

        Raises:
            LoadInProgress: another request is being served.
            ModelRejected: names the stage; what served before serves on.
        """
        package = self._begin(request)
        try:
            self._changeover.run(Order(request, package))
        finally:
            self._end()

    def check(self, request: str) -> None:
        """Tell whether ``request`` could begin now; a refusal is told on the board as well.

        Raises:
            LoadInProgress: another request is being served.
            ModelRejected: it does not resolve, or its signature is not accepted.
        """
        with self._lock:
            self._refuse_when_busy(request)
        try:
            self._factory.resolve(request)
        except ModelRejected as rejection:
            self._tell_refusal(request, rejection)
            raise

    def request(self, request: str) -> None:
        """Begin to load a model in the background, after looking it up.

        Args:
            request: name, name@version, name@label or a path.

        Raises:
            LoadInProgress: another request is being served.
            ModelRejected: it does not resolve, or its signature is not accepted.
        """
        package = self._begin(request)
        with self._lock:
            self._fallback.forget()
            self._refusals.forget(package.manifest_sha256)
        self._start(Order(request, package))

    def reload(self) -> None:
        """Resolve again what the present model was asked for with, and load what that is now.

        Raises:
            NoActiveModel: no model serves.
            LoadInProgress: another request is being served.
            ModelRejected: it does not resolve, or its signature is not accepted.
        """
        served = self._succession.served
        if served is None:
            raise NoActiveModel('no model serves', remedy='set the parameter model')
        self.request(served.request)

    def follow(self) -> None:
        """Begin to load what the request for the present model names by now, if that is new.

        One that was refused, withdrawn, rolled back or failing is not until somebody asks for it:
        it would be for ever. Where only memory or the like was short, it is after a while.

        Raises:
            ModelRejected: it does not resolve, or its signature is not accepted.
        """
        with self._lock:
            if self._busy or self._closed:
                return
        served = self._succession.served
        if served is None:
            return
        try:
            package = self._factory.resolve(served.request)
        except ModelRejected as rejection:
            if str(rejection) != self._last_unfollowed:
                self._last_unfollowed = str(rejection)
                self._tell_refusal(served.request, rejection)
            raise
        with self._lock:
            refused = self._refusals.has(package.manifest_sha256)
        if not refused and package.manifest_sha256 != served.package.manifest_sha256:
            self.request(served.request)

    def fall_back(self) -> None:
        """Begin to load what takes over from the present model, which fails again and again.

        Returns at once while another request is being served; to be called again when the model
        goes on failing.

        Raises:
            BackendUnavailable: nothing is left to try.
            ModelRejected: what would be next is not in the store any more.
        """
        served, previous = self._succession.served, self._succession.previous
        with self._lock:
            if served is None or self._busy or self._closed:
                return
            way = self._fallback.next(served, previous)
            self._refusals.add(served.package.manifest_sha256)
        self._load_again(way)

    def withdrawn(self, manifest_sha256: str, rejection: ModelRejected | None = None) -> None:
        """Note that a model was withdrawn after its swap, or refused before it."""
        with self._lock:
            self._refusals.add(manifest_sha256, rejection)

    def roll_back(self) -> str:
        """Bring the previous model back: at once when it is still loaded, else by loading it.

        A load under way is given up.

        Returns:
            name@version of what serves now; '' when it is being loaded in the background.

        Raises:
            LoadInProgress: a load under way has to end first, as nothing is kept loaded.
            ModelNotFound: no other model served since the node was configured.
            ModelRejected: it is not in the store any more.
        """
        loading = self._give_up_load()
        try:
            back, left = self._succession.roll_back()
        except NoActiveModel:
            pass  # not kept loaded
        else:
            self.withdrawn(left.package.manifest_sha256)
            return back.model.identity
        if loading:
            raise LoadInProgress(
                f'{self._board.status.requested!r} is being loaded, and no other model is kept',
                remedy='ask again when ~/model_status says that the load is given up or done',
            )
        previous = self._succession.previous
        if previous is None:
            raise ModelNotFound(
                'there is no previous model to go back to',
                remedy='set the parameter model to the one you want',
            )
        served = self._succession.served
        self._load_again(replace(previous, proven=True))
        if served is not None:
            self.withdrawn(served.package.manifest_sha256)
        return ''

    def close(self, timeout_s: float) -> bool:
        """Take no more requests, give up the one under way, wait for its thread.

        Returns:
            False when the thread did not end in time; its candidate is then closed, not served,
            when it does, and nobody is told.
        """
        with self._lock:
            self._closed = True
            thread = self._thread
        self._changeover.close()
        self._factory.cancel()
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _begin(self, request: str) -> ModelPackage:
        with self._lock:
            self._refuse_when_busy(request)
            self._busy = True
            self._factory.renew()
        try:
            self._board.requested(request)
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

    def _tell_refusal(self, request: str, rejection: ModelRejected) -> None:
        """Tell of a request that did not begin, unless that would hide how another one goes."""
        if self._board.status.at_rest:
            self._board.requested(request)
            self._board.rejected(rejection)

    def _give_up_load(self) -> bool:
        """Cancel the load under way while something serves; tells whether there is one."""
        with self._lock:
            if self._closed:
                raise LoadInProgress('the node is being cleaned up', remedy='configure it again')
            if self._busy and self._succession.served is not None:
                self._factory.cancel()
            return self._busy

    def _end(self) -> None:
        with self._lock:
            self._busy = False

    def _load_again(self, order: Order) -> None:
        """Begin to load a model that served before, in the background."""
        package = self._begin(self._factory.reference(order.package))
        self._start(replace(order, package=package))

    def _start(self, order: Order) -> None:
        thread = threading.Thread(
            target=self._run, args=(order, self.request_number), name='model_loader', daemon=True
        )
        with self._lock:
            self._thread = thread
        thread.start()

    def _run(self, order: Order, number: int) -> None:
        identity = order.package.identity
        try:
            self._changeover.run(order)
        except ModelRejected as rejection:
            logger.error('%s was refused at %s', identity, rejection)
            self.withdrawn(order.sha256, rejection)
            success, message = False, str(rejection)
        else:
            success, message = True, f'serving {identity}'
        self._end()
        with self._lock:
            closed = self._closed
        if not closed:
            self._on_done(number, success, message)
