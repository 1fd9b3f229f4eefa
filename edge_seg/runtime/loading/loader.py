"""The loader: serves requests for models, one at a time, in a thread of its own."""

from collections.abc import Callable
import logging
import threading

from edge_seg.core.values import Size
from edge_seg.errors import (
    BackendUnavailable,
    LoadInProgress,
    LoadStage,
    ModelNotFound,
    ModelRejected,
    NoActiveModel,
)
from edge_seg.models.store import ModelPackage
from edge_seg.runtime.loading.candidate import CandidateFactory, Prepared
from edge_seg.runtime.loading.model_status import StatusBoard
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
        on_done: told how a background request ended (success, message), in the loading thread.
    """

    def __init__(
        self,
        factory: CandidateFactory,
        succession: Succession,
        board: StatusBoard,
        *,
        exclusive: bool,
        camera_size: Callable[[], Size | None],
        on_done: Callable[[bool, str], None],
    ) -> None:
        self._factory = factory
        self._succession = succession
        self._board = board
        self._exclusive = exclusive
        self._camera_size = camera_size
        self._on_done = on_done
        self._lock = threading.Lock()  # guards everything below
        self._thread: threading.Thread | None = None
        self._busy = False
        self._closed = False
        self._before: ModelPackage | None = None  # what served before the last swap
        self._earlier: ModelPackage | None = None  # and before the swap before that
        self._refused = ''  # digest of the manifest that was refused last
        self._failed_backends: frozenset[str] = frozenset()

    @property
    def served_reference(self) -> str:
        """What to ask for to get the model that serves: name@version, or a path; '' for none."""
        served = self._succession.served
        return '' if served is None else self._factory.reference(served.package)

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
            ModelRejected: it does not resolve, or its signature is not accepted.
        """
        with self._lock:
            self._refuse_when_busy(request)
        self._factory.resolve(request)

    def request(self, request: str, *, without: tuple[str, ...] = ()) -> None:
        """Begin to load a model in the background, after looking it up.

        Args:
            request: name, name@version, name@label or a path.
            without: backends that failed with it.

        Raises:
            LoadInProgress: another request is being served.
            ModelRejected: it does not resolve, or its signature is not accepted.
        """
        package = self._begin(request)
        thread = threading.Thread(
            target=self._run, args=(package, without), name='model_loader', daemon=True
        )
        with self._lock:
            self._thread = thread
        thread.start()

    def request_if_changed(self, request: str) -> None:
        """Begin to load what ``request`` names, when it is not what serves.

        A model that was refused or withdrawn is not tried again: it would be for ever.

        Raises:
            ModelRejected: it does not resolve, or its signature is not accepted.
        """
        with self._lock:
            if self._busy or self._closed:
                return
            refused = self._refused
        package = self._factory.resolve(request)
        served = self._succession.served
        known = (refused, '' if served is None else served.package.manifest_sha256)
        if package.manifest_sha256 not in known:
            self.request(request)

    def try_next_backend(self) -> None:
        """Begin to load the present model with another backend, as the present one failed.

        Raises:
            LoadInProgress: a request is being served.
            BackendUnavailable: the backend was named, so that none may take its place.
            ModelRejected: the model is not in the store any more.
        """
        served = self._succession.served
        if served is None:
            return
        if not self._factory.backend_is_free:
            raise BackendUnavailable(
                f'backend {served.model.report.backend} was asked for by name',
                remedy='set backend: auto to let another one take over',
            )
        with self._lock:
            self._failed_backends |= {served.model.report.backend}
            without = tuple(sorted(self._failed_backends))
        self.request(self._factory.reference(served.package), without=without)

    def withdrawn(self, manifest_sha256: str) -> None:
        """Note that a model was withdrawn after its swap, which thereby never happened."""
        with self._lock:
            self._refused = manifest_sha256
            self._before = self._earlier

    def roll_back(self) -> str:
        """Bring the previous model back: at once when it is still loaded, else by loading it.

        Returns:
            name@version of what serves now; '' when it is being loaded in the background.

        Raises:
            LoadInProgress: another request is being served.
            ModelNotFound: no other model served since the node was configured.
            ModelRejected: it is not in the store any more.
        """
        with self._lock:
            self._refuse_when_busy('rollback')
            before = self._before
        try:
            return self._succession.roll_back()
        except NoActiveModel:
            pass  # not kept loaded
        served = self._succession.served
        if before is None or (
            served is not None and served.package.manifest_sha256 == before.manifest_sha256
        ):
            raise ModelNotFound(
                'there is no previous model to go back to',
                remedy='set the parameter model to the one you want',
            )
        self.request(self._factory.reference(before))
        return ''

    def close(self, timeout_s: float) -> bool:
        """Take no more requests, give up the one under way, wait for its thread.

        Returns:
            False when the thread did not end in time; its candidate is then closed, not served,
            when it does.
        """
        with self._lock:
            self._closed = True
            thread = self._thread
        self._factory.cancel()
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _begin(self, request: str) -> ModelPackage:
        with self._lock:
            self._refuse_when_busy(request)
            self._busy = True
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

    def _end(self) -> None:
        with self._lock:
            self._busy = False

    def _run(self, package: ModelPackage, without: tuple[str, ...]) -> None:
        try:
            self._bring_in(package, without=without)
        except ModelRejected as rejection:
            logger.error('%s was refused at %s', package.identity, rejection)
            with self._lock:
                self._refused = package.manifest_sha256
            success, message = False, str(rejection)
        else:
            success, message = True, f'serving {package.identity}'
        self._end()
        self._on_done(success, message)

    def _bring_in(self, package: ModelPackage, *, without: tuple[str, ...] = ()) -> None:
        try:
            prepared = self._factory.prepare(
                package, on_stage=self._board.entered, without=without
            )
            self._replace(prepared)
        except ModelRejected as rejection:
            self._board.rejected(rejection)
            raise
        except Exception as bug:
            # A bug in a backend must not leave 'loading' behind for ever.
            logger.exception('a bug while loading %s', package.identity)
            stage = LoadStage(self._board.status.stage)
            unexpected = ModelRejected(stage, f'{type(bug).__name__}: {bug}')
            self._board.rejected(unexpected)
            raise unexpected from bug

    def _replace(self, prepared: Prepared) -> None:
        served = self._succession.served
        before = None if served is None else served.package
        if self._exclusive and before is not None:
            self._succession.vacate()
            self._board.made_room()
        with self._lock:
            known = self._before, self._earlier
            self._before, self._earlier = before, self._before
        try:
            self._install(prepared)
        except ModelRejected as rejection:
            with self._lock:
                self._before, self._earlier = known
            if self._exclusive and before is not None:
                self._restore(before, rejection)
            raise

    def _install(self, prepared: Prepared, *, instead_of: ModelRejected | None = None) -> None:
        candidate = self._factory.bring_up(
            prepared, camera=self._camera_size(), on_stage=self._board.entered
        )
        self._succession.install(candidate, instead_of=instead_of)
        gap_s = self._board.status.gap_s
        if gap_s:
            logger.warning('no model served for %.2f s while models were exchanged', gap_s)

    def _restore(self, package: ModelPackage, rejection: ModelRejected) -> None:
        """Load again what was unloaded to make room."""
        logger.warning('loading %s again', package.identity)
        prepared = self._factory.prepare(package, on_stage=self._board.entered)
        self._install(prepared, instead_of=rejection)
