"""What the judgement of a segmentation node rests on."""

from dataclasses import dataclass

from edge_seg.backends.base import CompileReport
from edge_seg.runtime.frames.stats import StatisticsSnapshot

DEFAULT_SEGMENT_BYTES = 512 << 10
"""Shared memory of Fast DDS without a profile: less than one 640x480 colour image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthInputs:
    """Everything that the judgement rests on.

    Attributes:
        state: label of the lifecycle state, e.g. 'active'.
        topic: resolved name of the image topic.
        listening_for_s: seconds since it was subscribed; 0 while nobody wants frames of it.
        publishers: how many publish on it.
        transport: parameter image_transport.
        twin: the topic of the other transport, when something publishes on it.
        reliability: what the image subscription requests, 'reliable' or 'best_effort'.
        incompatible_publishers: nodes that offer less than that.
        segment_bytes: larger frames do not come by shared memory; 0 = none do, None = the
            middleware has no such limit.
        frame_bytes: size of the newest frame.
        output_bytes: size of the largest image that is published for somebody.
        profile_variable: environment variable that names the Fast DDS profile.
        subscribers: how many listen to any of the outputs.
        lazy: parameter; without subscribers nothing is computed.
        heat: why the rate is lowered; '' = it is not.
        use_sim_time: the node's clock is the topic /clock.
        model: name@version that serves; '' = none.
        report: what compiling it came to; None = no model.
        loading: model that is being loaded; '' = none.
        load_error: why the last load was refused; '' when it succeeded.
        refusal: why the last transition failed; '' when it succeeded.
        frame_timeout_s: parameter.
        max_age_s: parameter.
        max_inference_errors: parameter.
        statistics: of the frame path since the activation.
        gpu: state of the GPU as keys and texts; see ``GpuMetrics.values``.
    """

    state: str
    topic: str
    statistics: StatisticsSnapshot = StatisticsSnapshot()
    listening_for_s: float = 0.0
    publishers: int = 0
    transport: str = 'raw'
    twin: str = ''
    reliability: str = 'reliable'
    incompatible_publishers: tuple[str, ...] = ()
    segment_bytes: int | None = DEFAULT_SEGMENT_BYTES
    frame_bytes: int = 0
    output_bytes: int = 0
    profile_variable: str = 'FASTDDS_DEFAULT_PROFILES_FILE'
    subscribers: int = 0
    lazy: bool = True
    heat: str = ''
    use_sim_time: bool = False
    model: str = ''
    report: CompileReport | None = None
    loading: str = ''
    load_error: str = ''
    refusal: str = ''
    gpu: tuple[tuple[str, str], ...] = ()
    frame_timeout_s: float = 2.0
    max_age_s: float = 1.0
    max_inference_errors: int = 5

    @property
    def large_frames_pass(self) -> bool:
        """True when a profile provides for camera images, or the middleware needs none."""
        return self.segment_bytes is None or self.segment_bytes > DEFAULT_SEGMENT_BYTES

    @property
    def idle(self) -> bool:
        """True when nothing is computed because nobody listens."""
        return self.lazy and self.subscribers == 0

    @property
    def silent_s(self) -> float:
        """Seconds without a frame that was waited for."""
        ago_s = self.statistics.last_frame_ago_s
        return self.listening_for_s if ago_s is None else min(ago_s, self.listening_for_s)
