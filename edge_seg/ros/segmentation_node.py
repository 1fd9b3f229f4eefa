"""The segmentation node: camera images in, masks out, models changed while it runs."""

from contextlib import ExitStack
from pathlib import Path
import time

from edge_seg.core.values import Size
from edge_seg.models.share import share_path
from edge_seg.models.store import ModelStore
from edge_seg.ros.announcements import Announcements
from edge_seg.ros.diagnostics import Diagnostics
from edge_seg.ros.frame_flow import FrameFlow
from edge_seg.ros.model_requests import ModelRequests
from edge_seg.ros.outputs import MaskOutputs
from edge_seg.ros.parameters import Changes, NodeParameters
from edge_seg.ros.process import run_node
from edge_seg.ros.qos import large_frames_pass
from edge_seg.ros.transitions import guarded
from edge_seg.runtime.candidate import Candidate, CandidateFactory, CandidateOptions
from edge_seg.runtime.health import assess, Health
from edge_seg.runtime.health_inputs import HealthInputs
from edge_seg.runtime.loader import ModelLoader
from edge_seg.runtime.model_status import StatusBoard
from edge_seg.runtime.parameter_table import SEGMENTATION_PARAMETERS
from edge_seg.runtime.serving import ServingModel
from edge_seg.runtime.settings import SegmentationSettings
from edge_seg.runtime.slot import ModelSlot
from edge_seg.runtime.stats import FrameStatistics
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

LOADER_STOP_TIMEOUT_S = 5.0
DRAIN_TIMEOUT_S = 5.0
SUCCESS = TransitionCallbackReturn.SUCCESS
DEFAULT_SETTINGS = SegmentationSettings.from_values({})


class SegmentationNode(LifecycleNode):
    """Segments the newest camera image with the active model; the README has the interface."""

    def __init__(self) -> None:
        super().__init__('segmentation')
        self._settings: SegmentationSettings | None = None
        self._statistics = FrameStatistics()
        self._slot: ModelSlot[ServingModel] = ModelSlot()
        self._announcements = Announcements(self)
        self._board = StatusBoard(self._announcements.status)
        self._requests = ModelRequests(self)
        self._values = NodeParameters(
            self,
            SEGMENTATION_PARAMETERS,
            configured=lambda: self._settings is not None,
            review=self._review,
            apply=self._apply,
        )
        self._configured = ExitStack()
        self._activated = ExitStack()
        self._outputs: MaskOutputs | None = None
        self._flow: FrameFlow | None = None
        self._refusal = ''
        self._finalized = False
        self._diagnostics = Diagnostics(self, self._health)

    @guarded
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the settings, create the outputs, load and warm the first model."""
        settings = SegmentationSettings.from_values(self._values.values())
        with ExitStack() as undo:
            undo.callback(self._forget_settings)
            self._outputs = MaskOutputs(self, settings)
            undo.callback(self._outputs.destroy)
            loader = self._loader(settings)
            undo.callback(self._unload)
            undo.callback(loader.close, LOADER_STOP_TIMEOUT_S)
            loader.load(settings.model)
            self._settings = settings
            self._requests.attach(loader, settings.model)
            undo.callback(self._requests.detach)
            self._configured = undo.pop_all()
        self._diagnostics.set_period(settings.diagnostics_period_s)
        self._refusal = ''
        return SUCCESS

    @guarded
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera."""
        result = super().on_activate(state)
        if self._settings is None or self._outputs is None:
            raise RuntimeError('activated without being configured')
        self._statistics.reset()
        self._flow = FrameFlow(
            self,
            self._settings,
            slot=self._slot,
            outputs=self._outputs,
            statistics=self._statistics,
        )
        self._activated.callback(self._close_flow)
        self._flow.open()
        self._refusal = ''
        return result

    @guarded
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish the current frame; the model stays warm."""
        self._activated.close()
        return super().on_deactivate(state)

    @guarded
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and everything else that configure made."""
        return self._tear_down()

    @guarded
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything for good."""
        self._finalized = True
        return self._tear_down()

    @guarded
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured again."""
        return self._tear_down()

    def destroy_node(self) -> None:
        """Free everything, whatever the state."""
        self._tear_down()
        super().destroy_node()

    def transition_refused(self, transition: str, reason: str) -> None:
        """Keep the reason for diagnostics, and publish it at once."""
        self._refusal = f'{transition}: {reason}'
        self._diagnostics.publish()

    def _tear_down(self) -> TransitionCallbackReturn:
        with ExitStack() as both:
            both.callback(self._configured.close)
            both.callback(self._activated.close)
        return SUCCESS

    def _loader(self, settings: SegmentationSettings) -> ModelLoader:
        store = ModelStore(
            Path(settings.model_store) if settings.model_store else share_path('models')
        )
        options = CandidateOptions(
            backend=settings.backend,
            compile=settings.compile_options(),
            warmup_runs=settings.warmup_runs,
        )
        return ModelLoader(
            CandidateFactory(store, options),
            self._slot,
            self._board,
            camera_size=self._camera_size,
            on_served=self._on_served,
            on_done=self._requests.finished,
        )

    def _on_served(self, candidate: Candidate) -> None:
        self._announcements.classes(candidate.package.manifest.spec)
        report = candidate.model.report
        self.get_logger().info(
            f'serving {candidate.model.identity} with {report.backend} '
            f'{report.backend_version} on {report.device} in {report.precision}; '
            f'first inference {candidate.warm_up.first_s * 1e3:.1f} ms, '
            f'then {candidate.warm_up.steady_s * 1e3:.1f} ms'
        )
        for backend, reason in candidate.choice.rejected:
            self.get_logger().info(f'backend {backend} not taken: {reason}')

    def _camera_size(self) -> Size | None:
        return None if self._flow is None else self._flow.camera

    def _close_flow(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.close()

    def _unload(self) -> None:
        self._slot.clear(drain_timeout_s=DRAIN_TIMEOUT_S)
        self._board.unloaded()

    def _forget_settings(self) -> None:
        self._settings = None
        self._outputs = None

    def _review(self, changes: Changes) -> None:
        if self._settings is None:
            return
        self._settings.changed(changes)
        if 'model' in changes:
            self._requests.review(str(changes['model']))

    def _apply(self, changes: Changes) -> None:
        if self._settings is None:
            return
        self._settings = self._settings.changed(changes)
        if self._outputs is not None:
            self._outputs.set_options(self._settings)
        if self._flow is not None:
            self._flow.set_limits(self._settings)
        if 'model' in changes:
            self._requests.apply(str(changes['model']))

    def _health(self) -> Health:
        status = self._board.status
        settings = self._settings or DEFAULT_SETTINGS
        model = self._slot.active
        camera = self._flow.input if self._flow is not None else None
        return assess(
            HealthInputs(
                state=self._state_label(),
                active_for_s=0.0 if self._flow is None else self._flow.open_for_s,
                topic='' if camera is None else camera.topic,
                publishers=0 if camera is None else len(camera.publishers()),
                reliability='' if camera is None else camera.reliability,
                incompatible_publishers=() if camera is None else tuple(camera.incompatible()),
                large_frames_pass=large_frames_pass(),
                subscribers=0 if self._outputs is None else self._outputs.subscribers(),
                lazy=settings.lazy,
                use_sim_time=bool(self.get_parameter('use_sim_time').value),
                model=status.model,
                report=None if model is None else model.report,
                loading='' if status.at_rest else status.requested,
                load_error=status.last_error or self._refusal,
                frame_timeout_s=settings.frame_timeout_s,
                max_age_s=settings.max_age_s,
                max_inference_errors=settings.max_inference_errors,
                statistics=self._statistics.snapshot(time.monotonic()),
            )
        )

    def _state_label(self) -> str:
        if self._finalized:
            return 'finalized'
        if self._settings is None:
            return 'unconfigured'
        return 'inactive' if self._flow is None else 'active'


def main() -> int:
    """Run the node until the process is told to stop."""
    return run_node(SegmentationNode)
