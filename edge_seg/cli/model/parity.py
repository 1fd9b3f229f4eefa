"""``edge_seg model parity``: whether two models, backends or precisions give the same masks."""

from pathlib import Path
from typing import Any

import click
from edge_seg.cli.model.measure import (
    frame_request,
    in_percent,
    in_words,
    kpi_row,
    measuring_options,
    opened_frames,
    record_run,
    show_result,
    to_run_options,
)
from edge_seg.cli.view import show_pairs
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.parity import compare_masks, Side
from edge_seg.offline.evaluation.results import ParityResult

PAIRED = ('backend', 'device', 'precision')


@click.command()
@click.argument('model')
@click.argument('other', required=False)
@click.option(
    '--min-agreement',
    type=click.FloatRange(0, 1),
    default=0.99,
    show_default=True,
    help='Share of equal pixels; exit with 1 below it.',
)
@click.option(
    '--pictures',
    type=click.Path(path_type=Path, file_okay=False),
    help='Folder for pictures of the worst frames.',
)
@click.option(
    '--worst', type=click.IntRange(0), default=5, show_default=True, help='Frames to name.'
)
@measuring_options(50)
def parity(
    model: str,
    other: str | None,
    stores: LayeredStore,
    min_agreement: float,
    pictures: Path | None,
    worst: int,
    kpi: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Compare the masks of MODEL with those of OTHER, or of MODEL itself run in another way.

    --backend, --device and --precision take two values with a comma, the second for the other
    side: edge_seg model parity floor --backend openvino,opencv
    """
    request = frame_request(settings)
    sides = _sides(model, other, settings)
    with opened_frames(model, request) as (frames, progress):
        result = compare_masks(
            stores, sides, frames, worst=worst, pictures=pictures, progress=progress
        )
    show_result(result, _show, as_json=as_json)
    # The row is of the second side.
    total, energy_j = result.b_total, result.b_energy_j
    record_run(kpi, kpi_row('parity', result.b, result, total=total, energy_j=energy_j))
    if result.agreement >= min_agreement:
        return 0
    click.echo(
        f'edge_seg: {result.agreement:.3%} of the pixels agree; expected {min_agreement:.3%}',
        err=True,
    )
    return 1


def _sides(model: str, other: str | None, settings: dict[str, Any]) -> tuple[Side, Side]:
    both = []
    for index in (0, 1):
        chosen = dict(settings)
        for name in PAIRED:
            values = [value.strip() for value in settings[name].split(',')]
            if len(values) > 2:
                raise click.BadParameter(
                    f'{settings[name]!r} has {len(values)} values; give one or two',
                    param_hint=f"'--{name}'",
                )
            chosen[name] = values[min(index, len(values) - 1)]
        both.append(to_run_options(**chosen))
    if other is None and both[0] == both[1]:
        raise click.UsageError(
            f'{model} would be compared with itself: name OTHER, or two values for --backend, '
            '--device or --precision'
        )
    return Side(model, both[0]), Side(other or model, both[1])


def _show(result: ParityResult) -> None:
    pairs = [
        ('a', in_words(result.a)),
        ('b', in_words(result.b)),
        ('frames', f'{result.frames}, {result.data}'),
        ('equal pixels', f'{result.agreement:.3%}'),
        ('mIoU of b against a', in_percent(result.miou)),
        ('latency of a', f'{result.a_total.p50_ms:.1f} ms median'),
        ('latency of b', f'{result.b_total.p50_ms:.1f} ms median'),
    ]
    for number, frame in enumerate(result.worst):
        picture = f', {result.pictures[number]}' if result.pictures else ''
        pairs.append(
            ('worst frames' if not number else '', f'{frame.agreement:.2%} {frame.frame}{picture}')
        )
    show_pairs(pairs)
