"""Judges how images travel: whether they get lost, go in fragments, or take too long."""

from edge_seg.runtime.frames.stats import Stage
from edge_seg.runtime.health.health_inputs import HealthInputs
from edge_seg.runtime.health.judgement import Level, Verdict

LOST_SHARE_TOLERATED = 0.1
"""Share of frames lost in transport above which the loss is reported."""
DATAGRAM_BYTES = 65500
"""What Fast DDS sends in one piece without shared memory."""
NO_ROOM = 'no shared memory is set up for them'
SLOW_TRANSPORT_S, SLOW_TRANSPORT_TAKES = 0.006, 2.0
"""Frames are slow beyond so much, and so many times as long as taking them. In shared memory they
come in 1 to 2 times that, with two busy processes for each core in 4 ms at 640x480 and 11 ms at
1920x1080; without the camera's profile in 11 to 17 and 23 to 43 ms, as what overflows its shared
memory is asked for and sent again."""
CLOCKS_DIFFER_S = 1.0
"""From here on it is not the way that takes so long."""
JUDGED_FROM = 30
"""Frames after which their median is trusted: the first ones wait for discovery."""


def lost_in_transport(inputs: HealthInputs) -> Verdict | None:
    """Tell of losses that the middleware noticed."""
    lost, arrived = inputs.statistics.lost_recent, inputs.statistics.recent_in
    if lost <= LOST_SHARE_TOLERATED * (lost + arrived):
        return None
    remedy = 'publish smaller or fewer frames'
    if not inputs.large_frames_pass:
        remedy = use_profile(inputs)
    elif inputs.segment_bytes is not None:
        remedy = f'{camera_too(inputs)}, or {remedy}'
    return Verdict(
        Level.WARN,
        f'{lost} of {lost + arrived} frames on {inputs.topic} lost in transport; {remedy}',
    )


def in_fragments(inputs: HealthInputs) -> Verdict | None:
    """Tell of images that do not fit into the shared memory of this process."""
    limit = inputs.segment_bytes
    if limit is None:
        return None
    at_once = max(limit, DATAGRAM_BYTES)
    if inputs.frame_bytes > at_once:
        images = f'frames of {inputs.frame_bytes >> 10} KiB on {inputs.topic} come'
    elif inputs.output_bytes > at_once:
        images = f'masks or pictures of {inputs.output_bytes >> 10} KiB go out'
    else:
        return None
    room = f'the shared memory for them has {limit >> 10} KiB' if limit else NO_ROOM
    remedy = use_profile(inputs)
    if inputs.large_frames_pass:
        remedy = 'raise segment_size in the Fast DDS profile of camera and segmentation'
    return Verdict(Level.WARN, f'{images} in fragments, which is slow: {room}; {remedy}')


def slow_transport(inputs: HealthInputs) -> Verdict | None:
    """Tell of large frames that come far slower than through shared memory.

    The camera's process has a profile of its own, or none, or runs elsewhere: only the time that
    its frames take shows that. What is slow is measured by taking a frame here, which copies the
    same bytes on the same machine, so that a slow machine is no slow path.
    """
    transport = inputs.statistics.latency(Stage.TRANSPORT)
    take = inputs.statistics.latency(Stage.TAKE)
    if inputs.segment_bytes is None or inputs.transport == 'compressed':
        return None  # other middlewares are as fast as they are, and so is the way of a JPEG
    if transport is None or take is None or transport.samples < JUDGED_FROM:
        return None
    limit_s = SLOW_TRANSPORT_S + SLOW_TRANSPORT_TAKES * take.p50_s
    if not limit_s < transport.p50_s < CLOCKS_DIFFER_S or inputs.frame_bytes <= DATAGRAM_BYTES:
        return None
    return Verdict(
        Level.WARN,
        f'frames of {inputs.frame_bytes >> 10} KiB on {inputs.topic} take '
        f'{transport.p50_s * 1e3:.0f} ms to come here, as they do in fragments or where no core '
        f'is free; {camera_too(inputs)}, or set image_transport to compressed and compare the '
        'clocks where it runs on another machine',
    )


def use_profile(inputs: HealthInputs) -> str:
    """Say how large images pass."""
    return f'start camera and segmentation with the Fast DDS profile {_named(inputs)}'


def camera_too(inputs: HealthInputs) -> str:
    """Say the same where this process does its part."""
    return f'start the camera, too, with the Fast DDS profile {_named(inputs)}'


def _named(inputs: HealthInputs) -> str:
    return f'of this package ({inputs.profile_variable}=.../edge_seg/config/fastdds_camera.xml)'
