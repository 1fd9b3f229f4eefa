"""``edge_seg bench``: measure, compare with the targets, leave JSON, plots and a page behind."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
import shutil
from typing import cast

import click
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
@click.option('--strict', is_flag=True, help='Exit with 1 when a target is missed.')
def command(
    names: tuple[str, ...],
    output: Path,
    copy: Path | None,
    quick: bool,
    reloads: int,
    strict: bool,
) -> int:
    """Measure, and compare with the targets; all benchmarks, or those that are named.

    Camera, segmentation node and consumer run in processes of their own, over DDS. A missed
    target is a result, not an error.
    """
    chosen = names or tuple(BENCHMARKS)
    if copy is not None and len(chosen) != 1:
        raise click.UsageError('--json goes with one benchmark')
    use_free_domain()
    prepare_environment()
    console = Console(highlight=False)
    missed: list[str] = []
    for name in chosen:
        folder = output.absolute() / 'work' / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

        def say(text: str, name: str = name) -> None:
            console.print(f'{name}: {text}', markup=False, soft_wrap=True)

        options = BenchOptions(folder, say, quick=quick, reloads=reloads)
        before = load()
        result = _named(name)(options)
        after = {f'{key}_after': value for key, value in load().items()}
        about = {'environment': environment(), 'load': before | after}
        paths = write_report(output, result, about)
        if copy is not None:
            shutil.copyfile(paths[0], copy)
        console.print(table_of(result))
        say(f'wrote {", ".join(map(str, paths))}')
        missed += [f'{name}: {target}' for target, each in result.targets.items() if not each.met]
    return REFUSED if strict and missed else 0


def _named(name: str) -> Callable[[BenchOptions], BenchResult]:
    module, _, attribute = BENCHMARKS[name][0].partition(':')
    return cast('Callable[[BenchOptions], BenchResult]', getattr(import_module(module), attribute))
