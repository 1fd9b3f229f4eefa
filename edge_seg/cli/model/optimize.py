"""``edge_seg model optimize``: publishes a smaller, faster version of a model."""

import json
from pathlib import Path
from typing import Any

import click
from edge_seg.cli.model.measure import (
    frame_request,
    frames_options,
    in_percent,
    kpi_option,
    kpi_row,
    record_run,
    show_result,
    to_run_options,
)
from edge_seg.cli.model.progress import step_bar
from edge_seg.cli.view import in_bytes, json_option, show_pairs, show_table, stores_option
from edge_seg.models.layered import LayeredStore
from edge_seg.models.reference import is_version
from edge_seg.offline.evaluation.frames import FrameRequest
from edge_seg.offline.evaluation.results import as_document
from edge_seg.offline.optimizing.attempts import CALIBRATION_SEED, OptimizeRequest, tell_nobody
from edge_seg.offline.optimizing.optimizing import optimize as optimize_model
from edge_seg.offline.optimizing.results import OptimizationResult
from edge_seg.sources.opening import SYNTHETIC

MAX_SHOWN = 5


@click.command()
@click.argument('model')
@click.option(
    '--precision',
    type=click.Choice(['fp16', 'int8']),
    default='int8',
    show_default=True,
    help='What to compute in.',
)
@click.option(
    '--calibration',
    default='',
    metavar='PATH',
    help='Frames like those of the robot: folder, video, ROS 2 bag, or synthetic. '
    'Default: those of --data.',
)
@click.option(
    '--calibration-frames',
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help='Most frames to calibrate on, evenly spread.',
)
@click.option('--version', default='', help='To publish as; default: the next.')
@click.option(
    '--max-drop',
    type=click.FloatRange(0, 100),
    help='Points of mIoU that may be lost; single layers stay in floating point, or nothing is '
    'published.',
)
@click.option('--report', type=click.Path(path_type=Path, dir_okay=False), help='JSON to write.')
@frames_options(100)
@click.option('--backend', default='auto', show_default=True, help='To compare on.')
@click.option('--device', default='AUTO', show_default=True, help='To compare on.')
@click.option('--threads', type=click.IntRange(0), default=0, help='To compare with.')
@kpi_option
@stores_option
@json_option
def optimize(
    model: str,
    version: str,
    stores: LayeredStore,
    report: Path | None,
    kpi: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Publish MODEL in INT8 or FP16: OpenVINO IR, and ONNX for TensorRT.

    INT8 is calibrated on frames; labels are not needed for that. Both versions then run on the
    frames of --data, in turns: with label maps, or in rendered scenes of the model's classes, the
    report has the mIoU of both, else only how far their masks agree.
    """
    if version and not is_version(version):
        raise click.BadParameter(f'{version!r} is neither an integer nor MAJOR.MINOR.PATCH')
    if report is not None and not report.parent.is_dir():  # found out before the work is done
        raise click.BadParameter(f'{report.parent} is no folder', param_hint="'--report'")
    request = _request(version, settings)
    with step_bar(model) as move:
        result = optimize_model(stores, model, request, on_step=move or tell_nobody)
    if report is not None:
        report.write_text(json.dumps(as_document(result), indent=2) + '\n', encoding='utf-8')
    show_result(result, _show, as_json=as_json)
    # The row is of the optimised model.
    side = result.optimized
    total, energy_j, miou = side.total, side.energy_j, side.miou
    record_run(
        kpi, kpi_row('optimize', side.run, result, total=total, energy_j=energy_j, miou=miou)
    )


def _request(version: str, settings: dict[str, Any]) -> OptimizeRequest:
    data = frame_request(settings)
    source = settings.pop('calibration') or data.data
    pairing = data.pairing
    if source != data.data:
        pairing = pairing.elsewhere(Path(data.data).expanduser(), Path(source).expanduser())
    count = settings.pop('calibration_frames')
    calibration = FrameRequest(
        data=source,
        count=count,
        seed=CALIBRATION_SEED if source == SYNTHETIC else data.seed,
        size=data.size,
        topic=data.topic,
        pairing=pairing,
    )
    return OptimizeRequest(
        precision=settings.pop('precision'),
        calibration=calibration,
        data=data,
        version=version,
        max_drop=settings.pop('max_drop'),
        options=to_run_options(precision='auto', as_the_node=False, **settings),
    )


def _show(result: OptimizationResult) -> None:
    before, after = result.original, result.optimized
    click.echo(f'{after.run.model} is published, {result.precision} of {before.run.model}')
    calibration = result.calibration
    pairs = [('compared on', f'{result.frames} frames, {result.data}')]
    if calibration.data:
        pairs.append(('calibrated on', f'{calibration.frames} frames, {calibration.data}'))
    for number, bad in enumerate(calibration.bad[:MAX_SHOWN]):
        head = f'{len(calibration.bad)} frames left out' if not number else ''
        pairs.append((head, bad))
    if result.kept:
        pairs.append(('in floating point', ', '.join(result.kept)))
    pairs.append(('equal pixels', in_percent(result.agreement)))
    show_pairs(pairs)
    click.echo()
    rows = [
        ['runs on', f'{before.run.backend} {before.run.precision}', _backend(result), ''],
        [
            'size',
            f'{in_bytes(before.run.size_bytes)} {before.run.format}',
            f'{in_bytes(after.run.size_bytes)} {after.run.format}',
            f'x {result.size_ratio:.2f}',
        ],
        _latency('inference', before.infer.p50_ms, after.infer.p50_ms),
        _latency('frame to mask', before.total.p50_ms, after.total.p50_ms),
        _latency('95 % of frames', before.total.p95_ms, after.total.p95_ms),
    ]
    if before.miou is not None and after.miou is not None:
        lost = 100 * (before.miou - after.miou)
        rows.append(
            ['mIoU', in_percent(before.miou), in_percent(after.miou), f'{-lost:+.2f} points']
        )
    else:
        rows.append(['mIoU against the original', '', in_percent(result.agreement_miou), ''])
    show_table(['', before.run.model, after.run.model, ''], rows)
    others = [each for each in result.artifacts if each.format != after.run.format]
    for each in others:
        click.echo(f'{each.format}: {in_bytes(each.size_bytes)}, x {each.share:.2f}')


def _backend(result: OptimizationResult) -> str:
    run = result.optimized.run
    return f'{run.backend} {run.precision}'


def _latency(what: str, before_ms: float, after_ms: float) -> list[str]:
    return [what, f'{before_ms:.2f} ms', f'{after_ms:.2f} ms', f'x {after_ms / before_ms:.2f}']
