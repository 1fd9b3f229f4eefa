"""The segmentation node: camera images in, masks out, models changed while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
import time

from edge_seg.core.values import Size
from edge_seg.ros.camera_port import CameraPort
from edge_seg.ros.compat import dds_profile_variable
from edge_seg.ros.diagnostics import Diagnostics, NamedHealth
from edge_seg.ros.frame_flow import FrameFlow
from edge_seg.ros.model_flow import ModelFlow
from edge_seg.ros.parameters import Changes, NodeParameters
from edge_seg.ros.process import run_node
from edge_seg.ros.transitions import guarded
from edge_seg.ros.transport import segment_bytes
from edge_seg.runtime.health.gpu_metrics import GpuMetrics, meters_of
from edge_seg.runtime.health.health import assess
from edge_seg.runtime.health.health_inputs import HealthInputs
from edge_seg.runtime.parameters.parameter_table import SEGMENTATION_PARAMETERS
from edge_seg.runtime.parameters.settings import SegmentationSettings
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

SUCCESS = TransitionCallbackReturn.SUCCESS
DEFAULT_SETTINGS = SegmentationSettings.from_values({})


class SegmentationNode(LifecycleNode):
    """Segments the newest images of its cameras with one model; the README has the interface."""

    def __init__(self) -> None:
        super().__init__('segmentation')
        self._settings: SegmentationSettings | None = None
        self._models = ModelFlow(self, self._camera_size)
        self._cameras: tuple[CameraPort, ...] = ()
        self._flow: FrameFlow | None = None
        self._gpu: GpuMetrics | None = None
        self._configured = ExitStack()
        self._activated = ExitStack()
        self._refusal = ''
        self._finalized = False
        self._values = NodeParameters(
            self,
            SEGMENTATION_PARAMETERS,
            configured=lambda: self._settings is not None,
            review=self._review,
            apply=self._apply,
        )
        self._diagnostics = Diagnostics(self, self._health, self._models.diagnostic)

    @guarded
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the settings, create the outputs, load and warm the first model."""
        settings = SegmentationSettings.from_values(self._values.values())
        with ExitStack() as undo:
            undo.callback(self._forget_settings)
            for name in settings.cameras or ('',):
                camera = CameraPort(self, name, settings)
                undo.callback(camera.outputs.destroy)
                self._cameras = (*self._cameras, camera)
            self._models.open(settings)
            undo.callback(self._models.close)
            self._gpu = GpuMetrics(meters_of(settings.backend, settings.device))
            undo.callback(self._gpu.close)
            self._settings = settings
            self._configured = undo.pop_all()
        self._diagnostics.set_period(settings.diagnostics_period_s)
        self._refusal = ''
        return SUCCESS

    @guarded
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras."""
        result = super().on_activate(state)
        if self._settings is None or self._models.observer is None:
            raise RuntimeError('activated without being configured')
        with ExitStack() as undo:
            self._flow = FrameFlow(
                self,
                self._settings,
                cameras=self._cameras,
                slot=self._models.slot,
                observer=self._models.observer,
            )
            undo.callback(self._close_flow)
            self._flow.open()
            self._activated = undo.pop_all()
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
        result = self._tear_down()
        self._refusal = ''
        return result

    @guarded
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything for good."""
        result = self._tear_down()
        self._finalized = True
        return result

    @guarded
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured again."""
        result = self._tear_down()
        self._diagnostics.publish()
        return result

    def give_up(self) -> None:
        """Let a load under way fail soon, that of the first model too: the process is to end."""
        self._models.give_up()

    def destroy_node(self) -> None:
        """Free everything, whatever the state."""
        try:
            self._tear_down()
        finally:
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

    def _camera_size(self) -> Size | None:
        sizes = [camera.size for camera in self._cameras if camera.size is not None]
        return max(sizes, default=None)

    def _close_flow(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.close()

    def _forget_settings(self) -> None:
        self._settings = None
        self._cameras = ()
        self._gpu = None

    def _review(self, changes: Changes) -> None:
        if self._settings is None:
            return
        self._settings.changed(changes)
        if 'model' in changes:
            self._models.requests.review(str(changes['model']))

    def _apply(self, changes: Changes) -> None:
        if self._settings is None:
            return
        self._settings = self._settings.changed(changes)
        for camera in self._cameras:
            camera.set_options(self._settings)
        if 'model' in changes:
            self._models.requests.apply(str(changes['model']))

    def _health(self) -> Sequence[NamedHealth]:
        """Judge each camera by itself; a node that is not configured, as a whole."""
        if not self._cameras:
            return [('', assess(self._health_inputs(None)))]
        return [(each.name, assess(self._health_inputs(each))) for each in self._cameras]

    def _health_inputs(self, camera: CameraPort | None) -> HealthInputs:
        status = self._models.status
        settings = self._settings or DEFAULT_SETTINGS
        model = self._models.slot.active
        common = HealthInputs(
            state=self._state_label(),
            topic='',
            transport=settings.image_transport,
            segment_bytes=segment_bytes(),
            profile_variable=dds_profile_variable(),
            lazy=settings.lazy,
            heat='' if self._flow is None else self._flow.heat,
            use_sim_time=bool(self.get_parameter('use_sim_time').value),
            model=status.model,
            report=None if model is None else model.report,
            loading='' if status.at_rest else status.requested,
            load_error=status.last_error or self._refusal,
            refusal=self._refusal,
            gpu=() if self._gpu is None else self._gpu.values(),
            frame_timeout_s=settings.frame_timeout_s,
            max_age_s=settings.max_age_s,
            max_inference_errors=settings.max_inference_errors,
        )
        return common if camera is None else camera.described(common, time.monotonic())

    def _state_label(self) -> str:
        if self._finalized:
            return 'finalized'
        if self._settings is None:
            return 'unconfigured'
        return 'inactive' if self._flow is None else 'active'


def main() -> int:
    """Run the node until the process is told to stop."""
    return run_node(SegmentationNode)
