"""What is known of the model that serves and of the one being loaded; observable."""

from collections.abc import Callable
from dataclasses import dataclass, replace
import threading
from typing import Literal

from edge_seg.errors import LoadStage, ModelRejected
from edge_seg.runtime.serving import ServingModel

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


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A snapshot.

    Attributes:
        stage: 'serving' or 'none' at rest, a load stage while loading, 'rejected' after a load
            that failed (``model`` still says what serves).
        model: 'name@version' of the model that serves, '' for none.
        sha256: digest of its manifest.
        backend: registry name of its backend.
        device: device it runs on.
        precision: effective precision.
        requested: text of the last request.
        request_id: counts the requests.
        last_error: why the last refused candidate was refused, '' when the last one was taken.
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

    @property
    def status(self) -> ModelStatus:
        """The present status."""
        with self._lock:
            return self._status

    def requested(self, request: str) -> None:
        """Note a new request."""
        with self._lock:
            count = self._status.request_id + 1
            self._change(replace(self._status, requested=request, request_id=count))

    def entered(self, stage: LoadStage) -> None:
        """Note that the candidate entered a stage."""
        with self._lock:
            self._change(replace(self._status, stage=stage.value))

    def serving(self, model: ServingModel) -> None:
        """Note that a model serves."""
        with self._lock:
            report = model.report
            self._change(
                replace(
                    self._status,
                    stage='serving',
                    model=model.identity,
                    sha256=model.sha256,
                    backend=f'{report.backend} {report.backend_version}'.strip(),
                    device=report.device,
                    precision=report.precision,
                    last_error='',
                )
            )

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

    def _change(self, status: ModelStatus) -> None:
        self._status = status
        self._observer(status)
