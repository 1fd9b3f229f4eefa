"""The state of a segmentation node as keys and texts for /diagnostics."""

from edge_seg.runtime.frames.stats import StatisticsSnapshot
from edge_seg.runtime.health.health_inputs import HealthInputs

KeyValue = tuple[str, str]


def health_values(inputs: HealthInputs) -> tuple[KeyValue, ...]:
    """Give everything known, keys in a fixed order.

    Durations are in milliseconds. ``drops.<reason>`` and ``<stage>_ms.<percentile>`` appear once
    there is something to say.
    """
    return (
        ('state', inputs.state),
        *_model(inputs),
        ('topic', inputs.topic),
        ('publishers', str(inputs.publishers)),
        ('reliability', inputs.reliability),
        ('subscribers', str(inputs.subscribers)),
        ('heat', inputs.heat),
        *_counts(inputs.statistics),
        *_latencies(inputs.statistics),
        *_errors(inputs),
        *inputs.gpu,
    )


def _model(inputs: HealthInputs) -> tuple[KeyValue, ...]:
    report = inputs.report
    return (
        ('model', inputs.model),
        ('loading', inputs.loading),
        ('backend', report.backend if report else ''),
        ('backend_version', report.backend_version if report else ''),
        ('device', report.device if report else ''),
        ('precision', report.precision if report else ''),
    )


def _counts(statistics: StatisticsSnapshot) -> tuple[KeyValue, ...]:
    return (
        ('rate_in_hz', f'{statistics.rate_in_hz:.1f}'),
        ('rate_out_hz', f'{statistics.rate_out_hz:.1f}'),
        ('frames_in', str(statistics.frames_in)),
        ('masks_out', str(statistics.masks_out)),
        ('lost_in_transport', str(statistics.lost_total)),
        *((f'drops.{drop.reason.value}', str(drop.total)) for drop in statistics.drops),
    )


def _latencies(statistics: StatisticsSnapshot) -> tuple[KeyValue, ...]:
    return tuple(
        (f'{latency.stage.value}_ms.{name}', f'{seconds * 1e3:.2f}')
        for latency in statistics.latencies
        for name, seconds in (
            ('p50', latency.p50_s),
            ('p95', latency.p95_s),
            ('p99', latency.p99_s),
        )
    )


def _errors(inputs: HealthInputs) -> tuple[KeyValue, ...]:
    error = inputs.statistics.last_error
    return (
        ('load_error', inputs.load_error),
        ('last_error', f'{error.text} ({error.ago_s:.0f} s ago)' if error else ''),
    )
