"""Judges a camera node: does it keep its rate, and why it sends nothing when it does not."""

from dataclasses import dataclass

from edge_seg.runtime.frames.camera_stream import StreamReport
from edge_seg.runtime.health.judgement import Health, Level

RATE_TOLERATED = 0.9
"""Share of the asked rate below which a camera counts as too slow."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """What is known of a camera node.

    Attributes:
        state: 'unconfigured', 'inactive', 'active' or 'finalized'.
        source: as the parameter says.
        rate_hz: frames a second asked for.
        topic: of the images; '' when not configured.
        subscribers: subscriptions to any of its topics.
        refusal: why the last transition was refused; '' = it was not.
        stream: how the stream fares, or fared before it was deactivated.
    """

    state: str
    source: str
    rate_hz: float
    topic: str
    subscribers: int
    refusal: str
    stream: StreamReport


def assess_camera(camera: CameraState) -> Health:
    """Judge."""
    level, message = _verdict(camera)
    stream = camera.stream
    values = (
        ('state', camera.state),
        ('source', camera.source),
        ('topic', camera.topic),
        ('subscribers', str(camera.subscribers)),
        ('rate_asked_hz', f'{camera.rate_hz:g}'),
        ('rate_hz', f'{stream.rate_hz:.2f}'),
        ('published', str(stream.published)),
        ('late_frames', str(stream.late)),
        ('surplus_frames', str(stream.surplus)),
        ('ended', str(stream.ended).lower()),
        ('last_error', stream.error or camera.refusal),
    )
    return Health(level, message, values)


def _verdict(camera: CameraState) -> tuple[Level, str]:
    stream = camera.stream
    if camera.state == 'finalized':
        return Level.STALE, f'shut down: {camera.refusal}' if camera.refusal else 'shut down'
    if camera.state == 'unconfigured' and camera.refusal:
        return Level.ERROR, f'not configured: {camera.refusal}'
    if camera.state != 'active':
        return Level.OK, camera.state
    if stream.error:
        return (
            Level.ERROR,
            f'{camera.source} broke after {stream.published} frames: {stream.error}',
        )
    if stream.ended:
        return Level.OK, (
            f'{camera.source} has ended after {stream.published} frames; clean up and configure '
            'again to replay it, or set loop'
        )
    if stream.idle:
        return Level.OK, 'idle: nobody subscribes'
    if not stream.published or not stream.rate_hz:
        return Level.OK, 'waiting for the first frames'
    if stream.rate_hz < RATE_TOLERATED * camera.rate_hz:
        return Level.WARN, (
            f'publishing at {stream.rate_hz:.1f} of {camera.rate_hz:g} Hz, {stream.late} frames '
            'late: lower rate_hz, width or height'
        )
    return Level.OK, f'publishing at {stream.rate_hz:.1f} Hz'
