"""What the measuring commands share: options for frames and backends, progress, the KPI row."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
import re
from typing import Any, TypeVar

import click
from edge_seg.backends.base import CompileOptions
from edge_seg.cli.model.progress import counting, step_bar
from edge_seg.cli.view import json_option, show_json, stores_option
from edge_seg.core.values import Size
from edge_seg.errors import KpiUnavailable
from edge_seg.offline.evaluation.frames import FrameRequest, FrameSet, open_frames, Progress
from edge_seg.offline.evaluation.label_files import PairingRule
from edge_seg.offline.evaluation.results import as_document, Latency, ModelRun
from edge_seg.offline.evaluation.running import RunOptions
from edge_seg.offline.kpi import KpiRun, record
from edge_seg.offline.kpi.run import Kind
from edge_seg.sources.opening import SYNTHETIC

Measured = TypeVar('Measured')
Function = TypeVar('Function', bound=Callable[..., Any])
PRECISIONS = ('auto', 'fp32', 'fp16', 'bf16', 'int8')
BACKENDS = ('auto', 'tensorrt', 'openvino', 'opencv')
READING = 'reading frames'
DATA_HELP = (
    'Folder of pictures, video or ROS 2 bag. Label maps: PNG of class ids, 255 for no class; '
    'images/X.jpg with labels/X.png, X.jpg with labels/X.png, or X.jpg with X_labels.png.'
)


def measuring_options(count: int) -> Callable[[Function], Function]:
    """Give a command what evaluate, parity and profile share: frames, backend, store, output."""
    return _chained((frames_options(count), run_options, kpi_option, stores_option, json_option))


def frames_options(count: int) -> Callable[[Function], Function]:
    """Give a command the options that choose frames; see ``frame_request``.

    Args:
        count: how many frames, when it is not said; 0 = all, of the scenes 300.
    """
    options = (
        click.option('--data', metavar='PATH', default='', help=DATA_HELP),
        click.option('--synthetic', is_flag=True, help='Rendered scenes; so without --data.'),
        click.option(
            '--frames',
            type=click.IntRange(1),
            default=count or None,
            show_default=str(count) if count else 'all, of scenes 300',
            help='Most frames to take, evenly spread.',
        ),
        click.option(
            '--seed', type=click.IntRange(0), default=2_000_000, help='Of the rendered scenes.'
        ),
        click.option(
            '--size',
            default='640x480',
            show_default=True,
            callback=lambda _context, _parameter, value: _size(value),
            help='Of the scenes.',
        ),
        click.option('--topic', default='', help='Image topic of the bag, when it has several.'),
        click.option(
            '--labels',
            type=click.Path(path_type=Path, file_okay=False),
            help='Their folder.',
        ),
        click.option(
            '--image-ending', default='', help='Of picture names, before the dot: _leftImg8bit'
        ),
        click.option(
            '--label-ending', default='', help='Of label map names: _gtFine_labelTrainIds'
        ),
    )
    return _chained(options)


def run_options(function: Function) -> Function:
    """Give a command the options that say on what a model runs; see ``to_run_options``."""
    options = (
        click.option('--backend', default='auto', show_default=True, help='|'.join(BACKENDS)),
        click.option('--device', default='AUTO', show_default=True, help='As of the backend.'),
        click.option('--precision', default='auto', show_default=True, help='|'.join(PRECISIONS)),
        click.option(
            '--threads',
            type=click.IntRange(0),
            default=0,
            help='0 = what the backend takes.',
        ),
        click.option('--dla-core', type=click.IntRange(0), help='As tensorrt_dla_core.'),
        click.option('--unrecorded', is_flag=True, help='As tensorrt_unrecorded: from trtexec.'),
    )
    return _chained(options)(function)


def kpi_option(function: Function) -> Function:
    """Give a command the option --no-kpi; it takes ``kpi``."""
    return click.option(
        '--kpi/--no-kpi', 'kpi', default=True, help='Add a row to the KPI database (default).'
    )(function)


def frame_request(settings: dict[str, Any]) -> FrameRequest:
    """Take the options of ``frames_options`` out of a command's parameters."""
    taken = {
        name: settings.pop(name)
        for name in (
            'data', 'synthetic', 'frames', 'seed', 'size', 'topic', 'labels', 'image_ending',
            'label_ending',
        )
    }  # fmt: skip
    if taken['data'] and taken['synthetic']:
        raise click.UsageError('--data and --synthetic exclude each other')
    return FrameRequest(
        data=taken['data'] or SYNTHETIC,
        count=taken['frames'] or 0,
        seed=taken['seed'],
        size=taken['size'],
        topic=taken['topic'],
        pairing=PairingRule(taken['labels'], taken['image_ending'], taken['label_ending']),
    )


def to_run_options(
    backend: str,
    device: str,
    precision: str,
    threads: int,
    *,
    dla_core: int | None = None,
    unrecorded: bool = False,
    as_the_node: bool = True,
) -> RunOptions:
    """Check the options of ``run_options``.

    Args:
        backend: name of a backend or 'auto'.
        device: as of the backend.
        precision: one of ``PRECISIONS``.
        threads: 0 = what the backend takes.
        dla_core: accelerator that TensorRT uses; None for the GPU.
        unrecorded: TensorRT takes engines without a record.
        as_the_node: 'auto' is what a node makes of it: the precision that suits the device best.
    """
    _known('--backend', backend, BACKENDS)
    _known('--precision', precision, PRECISIONS)
    chosen: Any = {'device': device, 'precision': precision, 'threads': threads}
    extra = [] if dla_core is None else [('tensorrt.dla_core', str(dla_core))]
    if unrecorded:
        extra.append(('tensorrt.unrecorded', 'true'))
    options = CompileOptions(**chosen, device_precision=as_the_node, extra=tuple(extra))
    return RunOptions(backend, options)


@contextmanager
def opened_frames(what: str, request: FrameRequest) -> Iterator[tuple[FrameSet, Progress | None]]:
    """Open frames; gives them, and what moves a bar as they are gone through."""
    with step_bar(what) as move:
        yield open_frames(request, progress=counting(move, READING)), counting(move)


def show_result(result: Measured, show: Callable[[Measured], None], *, as_json: bool) -> None:
    """Print a result, as JSON or as ``show`` does."""
    if as_json:
        show_json(as_document(result))
    else:
        show(result)


def record_run(wanted: bool, run: KpiRun) -> int | None:
    """Add a row to the KPI database and give its number.

    When that is impossible, say so: the result stands.
    """
    if not wanted:
        return None
    try:
        return record(run)
    except KpiUnavailable as error:
        click.echo(f'edge_seg: not recorded: {error}', err=True)
        return None


def kpi_row(
    kind: Kind,
    run: ModelRun,
    result: object,
    *,
    total: Latency,
    energy_j: float | None,
    miou: float | None = None,
) -> KpiRun:
    """Make a row of the KPI database.

    Args:
        kind: which command it was.
        run: the model as it ran.
        result: all that was found out, a dataclass.
        total: from decoded frame to mask.
        energy_j: joules for each frame.
        miou: against labels.
    """
    return KpiRun(
        kind=kind,
        model=run.model,
        model_sha256=run.model_sha256,
        backend=run.backend,
        device=run.device,
        precision=run.precision,
        miou=miou,
        p50_ms=total.p50_ms,
        p95_ms=total.p95_ms,
        size_bytes=run.size_bytes,
        energy_j=energy_j,
        document=as_document(result),
    )


def in_words(run: ModelRun) -> str:
    """Say what ran on what."""
    return f'{run.model}, {run.backend} {run.backend_version}, {run.device}, {run.precision}'


def in_percent(share: float | None) -> str:
    """Write a share 0-1, '-' for None."""
    return '-' if share is None else f'{share:.2%}'


def _size(text: str) -> Size:
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if match is None:
        raise click.BadParameter(f'{text!r} is no size; give WIDTHxHEIGHT, e.g. 640x480')
    return Size(int(match[1]), int(match[2]))


def _known(option: str, value: str, values: tuple[str, ...]) -> None:
    if value not in values:
        raise click.BadParameter(
            f'{value!r} is not one of {", ".join(values)}', param_hint=f"'{option}'"
        )


def _chained(options: tuple[Callable[[Any], Any], ...]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
