"""``edge_seg bench``: measure, compare with the targets, leave JSON, plots and a page behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
import shutil
import signal
import time
from types import FrameType

import click
from edge_seg.cli.bench.check import Baseline, load_baseline, regressions
from edge_seg.cli.bench.domain import use_free_domain
from edge_seg.cli.bench.environment import environment, load
from edge_seg.cli.bench.kpi import record_benchmark
from edge_seg.cli.bench.list import BENCHMARKS, minutes_of
from edge_seg.cli.bench.noise import NoiseMeter
from edge_seg.cli.bench.report import (
    document,
    listing_of,
    Report,
    table_of,
    write_index,
    write_report,
)
from edge_seg.cli.bench.result import BenchOptions, MeasurementFailed, RUNS
from edge_seg.cli.main import REFUSED
from edge_seg.cli.node_processes import prepare_environment
from edge_seg.errors import KpiUnavailable
from edge_seg.offline.reporting.pages import check_pages
from edge_seg.offline.reporting.plots import check_plots
from rich.console import Console

NOISY = 'Noisy: the machine was not quiet. '
RELOADS, QUICK_RELOADS = 200, 24
EPILOG = 'Of one benchmark: edge_seg bench NAME --help.'


class BenchCommand(click.Command):
    """A command whose help lists the benchmarks."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a table of names."""
        with formatter.section('Benchmarks'):
            formatter.write_dl([(name, each.brief) for name, each in BENCHMARKS.items()])
        formatter.write_paragraph()
        formatter.write_text(EPILOG)


@click.command(cls=BenchCommand, add_help_option=False)
@click.argument('names', nargs=-1, type=click.Choice(list(BENCHMARKS)), metavar='[NAME]...')
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
@click.option('--quick', is_flag=True, help='One run of each: to see that it works.')
@click.option(
    '--runs',
    type=click.IntRange(1),
    default=RUNS,
    show_default=True,
    help='Runs of each measurement; from three on the best and the worst are dropped.',
)
@click.option(
    '--minutes',
    type=click.FloatRange(0.5),
    default=10.0,
    show_default=True,
    help='Length of the benchmark memory.',
)
@click.option(
    '--reloads',
    type=click.IntRange(12),
    help='Good and failed reloads, each so many, of the benchmark reload; default: 200, with '
    '--quick 24.',
)
@click.option(
    '--check',
    'baseline_path',
    type=click.Path(dir_okay=False, path_type=Path),
    help='Compare ratios with this baseline; exit with 1 when one is worse than it may be.',
)
@click.option('--strict', is_flag=True, help='Exit with 1 when a target is missed.')
@click.option('-h', '--help', 'show_help', is_flag=True, help='Show this, or what NAME measures.')
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    output: Path,
    copy: Path | None,
    quick: bool,
    runs: int,
    minutes: float,
    reloads: int | None,
    baseline_path: Path | None,
    strict: bool,
    show_help: bool,
) -> int:
    """Measure, and compare with the targets; all benchmarks, or those that are named.

    Camera, segmentation node and consumer run in processes of their own, over DDS. A missed
    target is a result, not an error. Wants a machine with nothing else to do, and says so in its
    reports when it was not.
    """
    if show_help:
        click.echo(_help_on(names) if names else ctx.get_help())
        return 0
    chosen = names or tuple(BENCHMARKS)
    if copy is not None and len(chosen) != 1:
        raise click.UsageError('--json goes with one benchmark')
    if reloads is None:
        reloads = QUICK_RELOADS if quick else RELOADS
    baseline = {} if baseline_path is None else load_baseline(baseline_path)
    console = Console(highlight=False)
    about = minutes_of(chosen, quick=quick, memory=minutes, runs=runs)
    console.print(f'bench: about {max(1.0, about):.0f} minutes on two cores')
    with _ends_on_sigterm():
        use_free_domain()
        prepare_environment()
        options = BenchOptions(
            output, lambda _: None, quick=quick, reloads=reloads, runs=runs, minutes=minutes
        )
        reports, bad = _measure_all(chosen, options, console)
    if copy is not None and reports:
        shutil.copyfile(output / f'{chosen[0]}.json', copy)
    if len(reports) > 1:
        _show_all(reports, output, console)
    bad += _bad(reports, baseline, strict=strict)
    for each in bad:
        console.print(f'bench: {each}', style='bold red', markup=False, soft_wrap=True)
    return REFUSED if bad else 0


def _measure_all(
    names: tuple[str, ...], options: BenchOptions, console: Console
) -> tuple[list[Report], list[str]]:
    """Run benchmarks; gives the reports, and what went wrong with those that could not measure."""
    # What is missing for the reports is said now, not after three quarters of an hour.
    check_pages()
    check_plots()
    reports: list[Report] = []
    failures: list[str] = []
    for name in names:
        try:
            reports.append(_measure(name, options, console))
        except MeasurementFailed as failure:
            if len(names) == 1:
                raise
            # The others may take half an hour more, and do not depend on this one.
            failures.append(f'{name} failed: {failure}')
            console.print(f'bench: {failures[-1]}', style='bold red', markup=False, soft_wrap=True)
    return reports, failures


def _measure(name: str, options: BenchOptions, console: Console) -> Report:
    """Run one benchmark, write and show what it came to."""

    def say(text: str) -> None:
        console.print(f'{name}: {text}', markup=False, soft_wrap=True)

    output = options.folder
    folder = output.absolute() / 'work' / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before = load()
    begin_s = time.monotonic()
    with NoiseMeter() as meter:
        result = BENCHMARKS[name].load()(replace(options, folder=folder, say=say))
    after = {f'{key}_after': value for key, value in load().items()}
    took_s = time.monotonic() - begin_s
    noise = meter.noise
    report = Report(
        result,
        environment(),
        {**before, **after, **noise.described()},
        {'runs': options.rounds, 'quick': options.quick, 'took_s': took_s},
        NOISY + noise.text if noise.noisy else '',
    )
    paths = write_report(output, report)
    for listing in result.listings:
        console.print(listing_of(listing))
    if result.targets:
        console.print(table_of(result.title, [report]))
    if report.warning:
        console.print(f'{name}: {report.warning}', style='yellow', markup=False, soft_wrap=True)
    say(f'took {took_s / 60:.1f} minutes; wrote {", ".join(map(str, paths))}')
    try:
        record_benchmark(document(report), result.served)
    except KpiUnavailable as error:
        say(f'not recorded: {error}')
    return report


def _show_all(reports: list[Report], output: Path, console: Console) -> None:
    """Show the targets of several benchmarks as one table, and leave a page of them."""
    console.print(table_of('All of them', reports))
    noisy = ', '.join(report.result.name for report in reports if report.warning)
    if noisy:
        console.print(f'bench: the machine was not quiet during {noisy}', style='yellow')
    console.print(f'bench: wrote {write_index(output, reports)}', soft_wrap=True)


def _bad(reports: list[Report], baseline: Baseline, *, strict: bool) -> list[str]:
    """List regressions, and missed targets where that is asked for."""
    bad: list[str] = []
    for report in reports:
        result = report.result
        worse = regressions(result, baseline)
        bad += map(str, worse)
        if worse and report.warning:
            bad.append(f'{result.name}: {report.warning} Measure again on a quiet machine')
        if strict:
            missed = (name for name, target in result.targets.items() if not target.met)
            bad += [f'{result.name}/{name} is missed' for name in missed]
    return bad


def _help_on(names: tuple[str, ...]) -> str:
    """Say what each of these measures and how long it takes."""
    texts = []
    for name in names:
        each = BENCHMARKS[name]
        full, quick = each.minutes
        texts.append(
            f'Usage: edge_seg bench {name} [OPTIONS]\n\n'
            + click.wrap_text(each.about, 78, '  ', '  ')
            + f'\n\n  About {full:g} minutes on two cores, {quick:g} with --quick.\n'
            f'  Leaves build/bench/{name}.json, {name}.html and plots.\n\n'
            '  Options: edge_seg bench --help.'
        )
    return '\n\n'.join(texts)


@contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that it ends the processes it started."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
