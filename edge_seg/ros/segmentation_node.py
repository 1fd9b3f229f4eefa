"""The segmentation node: camera images in, masks out, models changed while it runs."""

from collections.abc import Callable
from contextlib import ExitStack
import time

from diagnostic_msgs.msg import DiagnosticStatus
from edge_seg.core.values import Size
from edge_seg.models.layered import open_stores
from edge_seg.models.share import share_path
from edge_seg.models.store import default_store_root
from edge_seg.ros.announcements import Announcements
from edge_seg.ros.diagnostics import Diagnostics
from edge_seg.ros.frame_flow import FrameFlow
from edge_seg.ros.model_requests import ModelRequests
from edge_seg.ros.outputs import MaskOutputs
from edge_seg.ros.parameters import Changes, NodeParameters
from edge_seg.ros.process import run_node
from edge_seg.ros.qos import large_frames_pass
from edge_seg.ros.transitions import guarded
from edge_seg.runtime.build_cache import BuildCache
from edge_seg.runtime.builder import Builder
from edge_seg.runtime.candidate import CandidateFactory, CandidateOptions, LoadedModel
from edge_seg.runtime.health import assess, Health
from edge_seg.runtime.health_inputs import HealthInputs
from edge_seg.runtime.loader import ModelLoader
from edge_seg.runtime.model_status import StatusBoard
from edge_seg.runtime.parameter_table import SEGMENTATION_PARAMETERS
from edge_seg.runtime.serving import ServingModel
from edge_seg.runtime.settings import SegmentationSettings
from edge_seg.runtime.shadow import Answer
from edge_seg.runtime.slot import ModelSlot
from edge_seg.runtime.stats import FrameStatistics
from edge_seg.runtime.succession import Succession
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Header

LOADER_STOP_TIMEOUT_S = 5.0
JUDGE_PERIOD_S = 0.5
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
        self._succession: Succession | None = None
        self._flow: FrameFlow | None = None
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._refusal = ''
        self._finalized = False
        self._diagnostics = Diagnostics(self, self._health, self._model_diagnostic)

    @guarded
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the settings, create the outputs, load and warm the first model."""
        settings = SegmentationSettings.from_values(self._values.values())
        with ExitStack() as undo:
            undo.callback(self._forget_settings)
            self._outputs = MaskOutputs(self, settings)
            undo.callback(self._outputs.destroy)
            self._succession = self._make_succession(settings)
            undo.callback(self._succession.close)
            loader = self._make_loader(settings, self._succession)
            undo.callback(loader.close, LOADER_STOP_TIMEOUT_S)
            loader.load(settings.model)
            self._settings = settings
            self._requests.attach(loader, settings.model)
            undo.callback(self._requests.detach)
            self._every(JUDGE_PERIOD_S, self._succession.judge, undo)
            if settings.watch_store_s > 0:
                self._every(settings.watch_store_s, self._requests.watch, undo)
            self._configured = undo.pop_all()
        self._diagnostics.set_period(settings.diagnostics_period_s)
        self._refusal = ''
        return SUCCESS

    @guarded
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera."""
        result = super().on_activate(state)
        if self._settings is None or self._outputs is None or self._succession is None:
            raise RuntimeError('activated without being configured')
        self._statistics.reset()
        self._flow = FrameFlow(
            self,
            self._settings,
            slot=self._slot,
            outputs=self._outputs,
            observer=self._succession,
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

    def _every(self, period_s: float, callback: Callable[[], None], undo: ExitStack) -> None:
        """Call back in real time, whatever a simulation does, until ``undo`` is closed."""
        timer = self.create_timer(period_s, callback, clock=self._steady_clock)
        undo.callback(self.destroy_timer, timer)

    def _make_succession(self, settings: SegmentationSettings) -> Succession:
        return Succession(
            self._slot,
            self._board,
            settings.probation_rules(),
            keep_previous=settings.keep_previous and settings.swap == 'overlap',
            announce=self._on_serving,
            on_withdrawn=self._on_withdrawn,
            on_worn_out=self._requests.worn_out,
            on_first_answer=self._on_first_answer,
        )

    def _make_loader(self, settings: SegmentationSettings, succession: Succession) -> ModelLoader:
        store = open_stores(
            settings.model_store, own=default_store_root(), installed=share_path('models')
        )
        options = CandidateOptions(
            backend=settings.backend,
            compile=settings.compile_options(),
            warmup_runs=settings.warmup_runs,
            signatures=settings.signature_policy(),
        )
        cache_dir = settings.cache_directory()
        builder = None
        if cache_dir is not None:
            cache = BuildCache(cache_dir, limit_bytes=settings.cache_limit_mb * 1_000_000)
            builder = Builder(cache, options.compile)
        return ModelLoader(
            CandidateFactory(store, options, builder),
            succession,
            self._board,
            exclusive=settings.swap == 'exclusive',
            camera_size=self._camera_size,
            on_done=self._requests.finished,
        )

    def _on_serving(self, loaded: LoadedModel) -> None:
        self._announcements.classes(loaded.model.spec)
        report, warm_up = loaded.model.report, loaded.warm_up
        self.get_logger().info(
            f'serving {loaded.model.identity} with {report.backend} {report.backend_version} on '
            f'{report.device} in {report.precision}; first inference '
            f'{warm_up.first_s * 1e3:.1f} ms, then {warm_up.steady_s * 1e3:.1f} ms'
        )

    def _on_withdrawn(self, withdrawn: LoadedModel, reason: str) -> None:
        message = f'{withdrawn.model.identity} was withdrawn: {reason}'
        self.get_logger().error(message)
        self._requests.withdrawn(withdrawn.package.manifest_sha256, message)

    def _on_first_answer(self, answer: Answer) -> None:
        if isinstance(answer.header, Header):
            stamp = answer.header.stamp
            self._board.first_frame(f'{stamp.sec}.{stamp.nanosec:09d}')

    def _camera_size(self) -> Size | None:
        return None if self._flow is None else self._flow.camera

    def _close_flow(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.close()

    def _forget_settings(self) -> None:
        self._settings = None
        self._outputs = None
        self._succession = None

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

    def _model_diagnostic(self) -> DiagnosticStatus:
        return self._announcements.diagnostic(self._board.status)

    def _state_label(self) -> str:
        if self._finalized:
            return 'finalized'
        if self._settings is None:
            return 'unconfigured'
        return 'inactive' if self._flow is None else 'active'


def main() -> int:
    """Run the node until the process is told to stop."""
    return run_node(SegmentationNode)
