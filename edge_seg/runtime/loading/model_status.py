"""What is known of the model that serves and of the one being loaded; observable."""

from collections.abc import Callable
from dataclasses import dataclass, replace
import threading
import time
from typing import Literal

from edge_seg.errors import LoadStage, ModelRejected
from edge_seg.runtime.loading.candidate import LoadedModel

Phase = Literal[
    'none',
    'serving',
    'resolve',
    'verify',
    'build',
    'load',
    'check',
    'warm',
    'swap',
    'probation',
    'rejected',
]

LOADING = frozenset(stage.value for stage in LoadStage) - {LoadStage.PROBATION.value}
"""Stages of a request whose model does not serve yet."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A snapshot.

    What is told of the last request (``stage``, ``requested``, ``request_id``, ``last_error``) and
    of what serves (the rest) are two things: while a model is on probation, the next one may be
    loading. How probation ends is told by ``stage`` only when no other request came since.

    Attributes:
        stage: of the last request: 'serving' or 'none' at rest, a load stage while loading,
            'rejected' after a load that failed (``model`` still says what serves).
        model: 'name@version' of the model that serves, '' for none.
        sha256: digest of its manifest.
        backend: registry name of its backend.
        device: device it runs on.
        precision: effective precision.
        requested: text of the last request.
        request_id: counts the requests.
        last_error: why the last refused candidate was refused, '' when the last one was taken.
        since: stamp of the first frame that ``model`` answered, 'sec.nanosec', '' before it.
        not_taken: backends that were passed over, and why.
        first_inference_s: the first inference of the warm-up.
        steady_inference_s: its last one.
        gap_s: for how long nothing served before ``model`` did; 0 when another model served on.
    """

    stage: Phase = 'none'
    model: str = ''
    sha256: str = ''
    backend: str = ''
    device: str = ''
    precision: str = ''
    requested: str = ''
    request_id: int = 0
    last_error: str = ''
    since: str = ''
    not_taken: str = ''
    first_inference_s: float = 0.0
    steady_inference_s: float = 0.0
    gap_s: float = 0.0

    @property
    def at_rest(self) -> bool:
        """True when no load is under way."""
        return self.stage in ('none', 'serving', 'rejected')


class StatusBoard:
    """Keeps the status; tells an observer of each change, in order, in the changing thread."""

    def __init__(self, observer: Callable[[ModelStatus], None]) -> None:
        self._observer = observer
        self._lock = threading.RLock()  # over status and observer: changes are told in order
        self._status = ModelStatus()
        self._empty_since_s: float | None = None

    @property
    def status(self) -> ModelStatus:
        """The present status."""
        with self._lock:
            return self._status

    def requested(self, request: str) -> None:
        """Note a new request; it is at its first stage from the start.

        A number that is told with the stage of the request before would look like its end.
        """
        with self._lock:
            count = self._status.request_id + 1
            self._change(
                replace(
                    self._status,
                    requested=request,
                    request_id=count,
                    stage=LoadStage.RESOLVE.value,
                )
            )

    def entered(self, stage: LoadStage) -> None:
        """Note that the candidate entered a stage."""
        with self._lock:
            self._change(replace(self._status, stage=stage.value))

    def serving(self, loaded: LoadedModel, *, on_trial: bool) -> None:
        """Note that the requested model serves, at first perhaps on trial."""
        with self._lock:
            stage: Phase = 'probation' if on_trial else 'serving'
            self._change(replace(self._describing(loaded), stage=stage, last_error=''))

    def made_room(self) -> None:
        """Note that nothing serves while the next model is loaded: there is room for one."""
        with self._lock:
            self._empty_since_s = time.monotonic()
            kept = self._status
            self._change(
                ModelStatus(stage=kept.stage, requested=kept.requested, request_id=kept.request_id)
            )

    def went_back(self, loaded: LoadedModel, rejection: ModelRejected) -> None:
        """Note that the model that had made room serves again, as the candidate was refused."""
        with self._lock:
            described = self._describing(loaded)
            self._change(replace(described, stage='rejected', last_error=str(rejection)))

    def settled(self) -> None:
        """Note that the present model passed its probation."""
        with self._lock:
            if self._status.stage == 'probation':  # else it is of a later request
                self._change(replace(self._status, stage='serving'))

    def withdrew(self, failed: LoadedModel, back: LoadedModel, reason: str) -> None:
        """Note that a model was withdrawn after the swap, and what serves again."""
        error = f'probation: {failed.model.identity} was withdrawn: {reason}'
        self._returned(back, stage='rejected', error=error)

    def rolled_back(self, back: LoadedModel) -> None:
        """Note that the model before the present one serves again, as was asked for."""
        self._returned(back, stage='serving', error='')

    def _returned(self, back: LoadedModel, *, stage: Phase, error: str) -> None:
        """Keep the stage, when it is that of a load under way: its end is still to come."""
        with self._lock:
            described = self._describing(back)
            loading = described.stage in LOADING
            self._change(
                replace(described, stage=described.stage if loading else stage, last_error=error)
            )

    def first_frame(self, stamp: str) -> None:
        """Note the stamp of the first frame that the present model answered."""
        with self._lock:
            self._change(replace(self._status, since=stamp))

    def rejected(self, rejection: ModelRejected) -> None:
        """Note that the candidate was refused; what served serves on."""
        with self._lock:
            self._change(replace(self._status, stage='rejected', last_error=str(rejection)))

    def unloaded(self) -> None:
        """Note that nothing serves any more."""
        with self._lock:
            kept = self._status
            self._change(
                ModelStatus(
                    requested=kept.requested,
                    request_id=kept.request_id,
                    last_error=kept.last_error,
                )
            )

    def _describing(self, loaded: LoadedModel) -> ModelStatus:
        report = loaded.model.report
        empty_since_s, self._empty_since_s = self._empty_since_s, None
        return replace(
            self._status,
            model=loaded.model.identity,
            sha256=loaded.model.sha256,
            backend=f'{report.backend} {report.backend_version}'.strip(),
            device=report.device,
            precision=report.precision,
            not_taken='; '.join(f'{name}: {why}' for name, why in loaded.choice.rejected),
            first_inference_s=loaded.warm_up.first_s,
            steady_inference_s=loaded.warm_up.steady_s,
            since='',
            gap_s=0.0 if empty_since_s is None else time.monotonic() - empty_since_s,
        )

    def _change(self, status: ModelStatus) -> None:
        self._status = status
        self._observer(status)
