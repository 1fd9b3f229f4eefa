"""``edge_seg model profile``: where the time and the memory of a model go."""

from typing import Any

import click
from edge_seg.cli.model.measure import (
    frame_request,
    in_words,
    kpi_row,
    measuring_options,
    opened_frames,
    record_run,
    show_result,
    to_run_options,
)
from edge_seg.cli.view import in_bytes, show_pairs, show_table
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.profiling import profile as profile_model
from edge_seg.offline.evaluation.results import ProfileResult


@click.command()
@click.argument('model')
@click.option(
    '--top', type=click.IntRange(0), default=15, show_default=True, help='Layers to show.'
)
@measuring_options(50)
def profile(
    model: str, stores: LayeredStore, top: int, kpi: bool, as_json: bool, **settings: Any
) -> None:
    """Time MODEL on this machine: stages of the frame path, layers, resident memory."""
    request = frame_request(settings)
    options = to_run_options(**settings)
    with opened_frames(model, request) as (frames, progress):
        result = profile_model(stores, model, frames, options=options, progress=progress)
    show_result(result, lambda result: _show(result, top), as_json=as_json)
    total, energy_j = result.total, result.energy_j
    record_run(kpi, kpi_row('profile', result.run, result, total=total, energy_j=energy_j))


def _show(result: ProfileResult, top: int) -> None:
    memory = result.memory
    resident = (
        f'{in_bytes(memory.running)}; {in_bytes(memory.before)} before, '
        f'{in_bytes(memory.sdk)} with the SDK, {in_bytes(memory.loaded)} with the model'
    )
    pairs = [
        ('model', in_words(result.run)),
        ('frames', f'{result.frames}, {result.data}'),
        ('loading', f'{result.load_ms:.0f} ms'),
        ('resident memory', resident),
    ]
    show_pairs(pairs)
    click.echo()
    rows = [
        [each.stage, f'{each.latency.p50_ms:.2f}', f'{each.latency.p95_ms:.2f}']
        for each in result.stages
    ]
    show_table(['STAGE', 'MEDIAN MS', '95 % MS'], rows)
    click.echo()
    if result.layers_note:
        click.echo(result.layers_note)
    _show_layers(result, top)


def _show_layers(result: ProfileResult, top: int) -> None:
    sum_ms = sum(layer.mean_ms or 0.0 for layer in result.layers)
    rows = [
        [
            layer.name,
            layer.kind,
            layer.precision,
            layer.implementation,
            '-' if layer.mean_ms is None else f'{layer.mean_ms:.3f}',
            '-' if layer.mean_ms is None else f'{layer.mean_ms / sum_ms:.1%}',
        ]
        for layer in result.layers[:top]
    ]
    if rows:
        show_table(['LAYER', 'KIND', 'PRECISION', 'KERNEL', 'MEAN MS', 'SHARE'], rows)
    if len(result.layers) > top:
        click.echo(f'{len(result.layers) - top} more layers; --top or --json shows them')
