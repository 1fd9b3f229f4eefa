"""Judges a segmentation node: how well it is, and why there is no mask when there is none."""

from collections.abc import Callable

from edge_seg.errors import DropReason
from edge_seg.runtime.frames.stats import DropCount, Stage
from edge_seg.runtime.health.health_inputs import HealthInputs
from edge_seg.runtime.health.health_values import health_values
from edge_seg.runtime.health.judgement import Health, Level, no_mask, Verdict
from edge_seg.runtime.health.transport_health import (
    camera_too,
    in_fragments,
    lost_in_transport,
    slow_transport,
    use_profile,
)

CLOCK_SKEW_TOLERATED_S = 0.1
CAUSE_LASTS_S = 5.0
BAD_FRAMES = frozenset(
    {
        DropReason.UNSUPPORTED_ENCODING,
        DropReason.TRUNCATED_DATA,
        DropReason.ZERO_SIZE,
        DropReason.ABSURD_SIZE,
        DropReason.WRONG_STEP,
        DropReason.UNDECODABLE,
        DropReason.INTERNAL_ERROR,
    }
)
"""Drops that mean that something is wrong, and not just that the worker is busy."""

_Rule = Callable[[HealthInputs], Verdict | None]


def _finalized(inputs: HealthInputs) -> Verdict | None:
    return no_mask(Level.STALE, 'shut down') if inputs.state == 'finalized' else None


def _not_configured(inputs: HealthInputs) -> Verdict | None:
    if inputs.state != 'unconfigured':
        return None
    reason = inputs.refusal or inputs.load_error
    if reason:
        return no_mask(Level.ERROR, f'not configured: {reason}')
    return Verdict(Level.OK, 'unconfigured', 'the node waits to be configured and activated')


def _not_active(inputs: HealthInputs) -> Verdict | None:
    if inputs.state == 'active':
        return None
    if inputs.refusal:
        return no_mask(Level.ERROR, f'{inputs.state}: {inputs.refusal}')
    return Verdict(Level.OK, inputs.state, f'the node is {inputs.state}: activate it')


def _no_model(inputs: HealthInputs) -> Verdict | None:
    if inputs.model:
        return None
    if inputs.loading:
        return no_mask(Level.WARN, f'no model yet: loading {inputs.loading}')
    return no_mask(Level.ERROR, f'no model: {inputs.load_error or "none was loaded"}')


def _inference_fails(inputs: HealthInputs) -> Verdict | None:
    in_a_row = inputs.statistics.errors_in_a_row
    if in_a_row < inputs.max_inference_errors:
        return None
    failures = _inference_failures(inputs)
    # However old it is: with a slow camera so many take their time.
    cause = f': {failures.error.text}' if failures and failures.error else ''
    return no_mask(Level.ERROR, f'inference failed {in_a_row} times in a row{cause}')


def _incompatible(inputs: HealthInputs) -> Verdict | None:
    if not inputs.incompatible_publishers:
        return None
    message = (
        f'{", ".join(inputs.incompatible_publishers)} offers best_effort on {inputs.topic}, '
        f'{inputs.reliability} is requested; set image_qos to auto or best_effort'
    )
    if inputs.statistics.recent_in:
        return Verdict(Level.WARN, message)
    return no_mask(Level.ERROR, message)


def _nobody_publishes(inputs: HealthInputs) -> Verdict | None:
    if inputs.publishers or inputs.idle:
        return None
    remedy = 'start the camera, or remap the topic image to its'
    if inputs.twin:
        other = 'compressed' if inputs.transport == 'raw' else 'raw'
        remedy = f'{inputs.twin} is there: set image_transport to {other}'
    return no_mask(Level.WARN, f'nothing publishes on {inputs.topic}; {remedy}')


def _no_frames(inputs: HealthInputs) -> Verdict | None:
    if inputs.idle or inputs.silent_s < inputs.frame_timeout_s:
        return None
    message = f'no frame on {inputs.topic} for {inputs.silent_s:.1f} s'
    if inputs.statistics.lost_recent:
        message += f', {inputs.statistics.lost_recent} lost in transport'
    message += '; see whether the camera works'
    fragile = inputs.reliability == 'best_effort' and inputs.segment_bytes is not None
    if fragile:
        message += ' (best-effort frames above 512 KiB get lost with default settings)'
    if not inputs.large_frames_pass:
        message += f', or {use_profile(inputs)}'
    elif fragile:
        message += f', or {camera_too(inputs)}'
    return no_mask(Level.WARN, message)


def _all_dropped(inputs: HealthInputs) -> Verdict | None:
    statistics = inputs.statistics
    if inputs.idle or statistics.recent_out or not statistics.recent_in:
        return None
    # Over-rate frames are dropped by intent, and max_rate_hz may be below one mask per window.
    counts = [drop for drop in statistics.drops if drop.reason is not DropReason.OVER_RATE]
    worst = max(counts, key=lambda drop: drop.recent, default=None)
    if worst is None or not worst.recent:
        return None
    if worst.reason is DropReason.STALE:
        return no_mask(Level.WARN, _stale(inputs))
    if worst.reason is DropReason.SUPERSEDED:
        return no_mask(Level.WARN, _stuck(inputs))
    return no_mask(Level.WARN, f'every frame is dropped: {worst.reason.value}{_cause(worst)}')


def _stuck(inputs: HealthInputs) -> str:
    ago_s = inputs.statistics.last_mask_ago_s
    since_s = inputs.listening_for_s if ago_s is None else ago_s
    return (
        f'no mask for {since_s:.1f} s while frames arrive: the inference hangs or is far too slow'
    )


def _stale(inputs: HealthInputs) -> str:
    message = f'every frame is stale: its stamp is more than {inputs.max_age_s:g} s old here'
    if inputs.use_sim_time:
        return f'{message}; use_sim_time is true: see whether the camera stamps by /clock too'
    return (
        f'{message}; synchronise the clocks of the machines, set use_sim_time when the camera '
        'stamps by /clock, or raise max_age_s'
    )


def _candidate_refused(inputs: HealthInputs) -> Verdict | None:
    if not inputs.load_error:
        return None
    return Verdict(
        Level.WARN, f'{inputs.model} serves on, a model was refused: {inputs.load_error}'
    )


def _idle(inputs: HealthInputs) -> Verdict | None:
    if not inputs.idle:
        return None
    silence = '' if inputs.publishers else f', and nothing publishes on {inputs.topic}'
    return no_mask(Level.OK, f'idle: nobody subscribes{silence}')


def _hot(inputs: HealthInputs) -> Verdict | None:
    message = f'rate lowered by thermal_rate_hz: {inputs.heat}'
    return Verdict(Level.WARN, message) if inputs.heat else None


def _bad_frames(inputs: HealthInputs) -> Verdict | None:
    bad = [d for d in inputs.statistics.drops if d.reason in BAD_FRAMES and d.recent]
    if not bad:
        return None
    reasons = '; '.join(f'{drop.recent} {drop.reason.value}{_cause(drop)}' for drop in bad)
    return Verdict(Level.WARN, f'frames are dropped: {reasons}')


def _inference_errors(inputs: HealthInputs) -> Verdict | None:
    failures = _inference_failures(inputs)
    if failures is None or not failures.recent:
        return None
    return Verdict(Level.WARN, f'inference fails at times{_cause(failures)}')


def _inference_failures(inputs: HealthInputs) -> DropCount | None:
    drops = inputs.statistics.drops
    return next((drop for drop in drops if drop.reason is DropReason.INFERENCE_ERROR), None)


def _future_stamps(inputs: HealthInputs) -> Verdict | None:
    age = inputs.statistics.latency(Stage.AGE)
    if age is None or age.p50_s >= -CLOCK_SKEW_TOLERATED_S:
        return None
    return Verdict(
        Level.WARN,
        f'frames are stamped {-age.p50_s:.2f} s in the future; synchronise the clocks'
        ', or set use_sim_time on camera and segmentation alike',
    )


def _no_mask_yet(inputs: HealthInputs) -> Verdict | None:
    if inputs.statistics.recent_out:
        return None
    which = 'next' if inputs.statistics.masks_out else 'first'
    what = 'mask' if inputs.statistics.recent_in else 'frame'
    return no_mask(Level.OK, f'waiting for the {which} {what}')


def _segmenting(inputs: HealthInputs) -> Verdict:
    message = f'segmenting at {inputs.statistics.rate_out_hz:.1f} Hz with {inputs.model}'
    if inputs.report is not None:
        message += f' on {inputs.report.backend} {inputs.report.device.split(" (")[0]}'
    return Verdict(Level.OK, message)


def _cause(drop: DropCount) -> str:
    """Name the newest error of a reason, unless it is too old to tell what happens now."""
    error = drop.error
    return f': {error.text}' if error is not None and error.ago_s <= CAUSE_LASTS_S else ''


# In this order: what keeps masks from coming before what only spoils them, so that the first
# line that an operator reads is the one to act on.
_RULES: tuple[_Rule, ...] = (
    _finalized,
    _not_configured,
    _not_active,
    _no_model,
    _inference_fails,
    _incompatible,
    _nobody_publishes,
    _no_frames,
    _all_dropped,
    _candidate_refused,
    _idle,
    lost_in_transport,
    _bad_frames,
    _inference_errors,
    _future_stamps,
    _hot,
    _no_mask_yet,
    in_fragments,
    slow_transport,
)


def assess(inputs: HealthInputs) -> Health:
    """Judge; the first rule of the table that applies wins, none means that all is well."""
    verdict = next(
        (verdict for rule in _RULES if (verdict := rule(inputs)) is not None),
        _segmenting(inputs),
    )
    values = (*health_values(inputs), ('why_no_mask', verdict.why_no_mask))
    return Health(verdict.level, verdict.message, values)
