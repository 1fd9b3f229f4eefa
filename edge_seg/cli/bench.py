"""``edge_seg bench``: measure, compare with the targets, leave JSON, plots and a page behind."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
import shutil
from typing import cast

import click
from edge_seg.cli.bench_check import load_baseline, regressions
from edge_seg.cli.bench_domain import use_free_domain
from edge_seg.cli.bench_environment import environment, load
from edge_seg.cli.bench_report import table_of, write_report
from edge_seg.cli.bench_result import BenchOptions, BenchResult
from edge_seg.cli.demo_processes import prepare_environment
from edge_seg.cli.main import REFUSED
from rich.console import Console

BENCHMARKS: Mapping[str, tuple[str, str]] = {
    'reload': ('edge_seg.cli.bench_reload:run', 'models that change, processes that are killed'),
    'cold-start': ('edge_seg.cli.bench_cold_start:run', 'process start to first mask'),
    'latency': ('edge_seg.cli.bench_latency:run', 'age of the mask'),
    'throughput': ('edge_seg.cli.bench_throughput:run', 'highest camera rate'),
    'nav2': ('edge_seg.cli.bench_nav2:run', 'mask, confidence and overlay at once'),
    'cameras': ('edge_seg.cli.bench_cameras:run', '1 to 8 cameras on one model'),
    'encodings': ('edge_seg.cli.bench_encodings:run', 'cost of each input encoding'),
    'idle': ('edge_seg.cli.bench_idle:run', 'processor time of a node with nothing to do'),
    'memory': ('edge_seg.cli.bench_memory:run', 'ten minutes at 30 Hz'),
}


def _list() -> str:
    return '; '.join(f'{name}: {text}' for name, (_, text) in BENCHMARKS.items())


@click.command(epilog=_list())
@click.argument('names', nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option(
    '--output',
    type=click.Path(file_okay=False, path_type=Path),
    default=Path('build/bench'),
    show_default=True,
    help='Folder for JSON, plots, pages and logs.',
)
@click.option(
    '--json',
    'copy',
    type=click.Path(dir_okay=False, path_type=Path),
    help='Write the JSON here too; for one benchmark.',
)
@click.option('--quick', is_flag=True, help='Few repetitions: to see that it works.')
@click.option(
    '--reloads',
    type=click.IntRange(8),
    default=200,
    show_default=True,
    help='Good and failed reloads, each so many, of the benchmark reload.',
)
@click.option(
    '--check',
    'baseline_path',
    type=click.Path(dir_okay=False, path_type=Path),
    help='Compare ratios with this baseline; exit with 1 when one is worse than it may be.',
)
@click.option('--strict', is_flag=True, help='Exit with 1 when a target is missed.')
def command(
    names: tuple[str, ...],
    output: Path,
    copy: Path | None,
    quick: bool,
    reloads: int,
    baseline_path: Path | None,
    strict: bool,
) -> int:
    """Measure, and compare with the targets; all benchmarks, or those that are named.

    Camera, segmentation node and consumer run in processes of their own, over DDS. A missed
    target is a result, not an error.
    """
    chosen = names or tuple(BENCHMARKS)
    if copy is not None and len(chosen) != 1:
        raise click.UsageError('--json goes with one benchmark')
    baseline = {} if baseline_path is None else load_baseline(baseline_path)
    use_free_domain()
    prepare_environment()
    console = Console(highlight=False)
    bad: list[str] = []
    for name in chosen:
        result = _measure(name, output, console, quick=quick, reloads=reloads)
        if copy is not None:
            shutil.copyfile(output / f'{name}.json', copy)
        bad += map(str, regressions(result, baseline))
        if strict:
            bad += [f'{name}/{target}' for target, each in result.targets.items() if not each.met]
    for each in bad:
        console.print(f'bench: {each}', style='bold red', markup=False, soft_wrap=True)
    return REFUSED if bad else 0


def _measure(
    name: str, output: Path, console: Console, *, quick: bool, reloads: int
) -> BenchResult:
    """Run one benchmark, write and show what it came to."""

    def say(text: str) -> None:
        console.print(f'{name}: {text}', markup=False, soft_wrap=True)

    folder = output.absolute() / 'work' / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before = load()
    result = _named(name)(BenchOptions(folder, say, quick=quick, reloads=reloads))
    after = {f'{key}_after': value for key, value in load().items()}
    about = {'environment': environment(), 'load': before | after}
    paths = write_report(output, result, about)
    console.print(table_of(result))
    say(f'wrote {", ".join(map(str, paths))}')
    return result


def _named(name: str) -> Callable[[BenchOptions], BenchResult]:
    module, _, attribute = BENCHMARKS[name][0].partition(':')
    return cast('Callable[[BenchOptions], BenchResult]', getattr(import_module(module), attribute))
