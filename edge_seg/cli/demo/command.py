"""``edge_seg demo``: camera, segmentation and a mask viewer, started, watched and judged."""

import os
from pathlib import Path
import time

import click
import cv2
from edge_seg.cli.demo.display import Display
from edge_seg.cli.demo.evaluation import Evaluation
from edge_seg.cli.demo.moments import MomentPlan, Moments
from edge_seg.cli.demo.pictures import contact_sheet, film_picture, write_film, write_sheet
from edge_seg.cli.demo.run import (
    CAMERA,
    DemoFailed,
    DemoOptions,
    DemoRun,
    Interrupted,
    node_plans,
    SEGMENTATION,
    StopRequest,
)
from edge_seg.cli.demo.source import DemoSource, look_at
from edge_seg.cli.demo.summary import DemoSummary, table_of, write_summary
from edge_seg.cli.main import INTERRUPTED, REFUSED
from edge_seg.cli.node_processes import NodeProcesses, prepare_environment
from edge_seg.ros.demo_viewer import DemoViewer
from rich.console import Console

SHEET = 'contact_sheet.png'
SHEET_WITHIN_S = 3.0
"""A run of this length has had its chance of a picture."""


@click.command()
@click.option(
    '--seconds',
    type=click.FloatRange(0.0),
    default=20.0,
    show_default=True,
    help='Length of the run; 0 = until Ctrl-C.',
)
@click.option(
    '--source',
    default='synthetic',
    show_default=True,
    help='Video, folder of pictures, /dev/video0 or ROS 2 bag.',
)
@click.option('--topic', default='', help='Image topic of a bag with several.')
@click.option(
    '--output',
    type=click.Path(file_okay=False, path_type=Path),
    default=Path('build/demo'),
    show_default=True,
    help='Folder for summary, pictures and logs.',
)
@click.option(
    '-p',
    '--param',
    'segmentation',
    multiple=True,
    metavar='NAME:=VALUE',
    help='Parameter of the segmentation node; may be repeated.',
)
@click.option(
    '-c',
    '--camera-param',
    'camera',
    multiple=True,
    metavar='NAME:=VALUE',
    help='Parameter of the camera node; may be repeated.',
)
def command(
    seconds: float,
    source: str,
    topic: str,
    output: Path,
    segmentation: tuple[str, ...],
    camera: tuple[str, ...],
) -> int:
    """Run camera, segmentation and a mask viewer.

    Three ROS 2 nodes, each a process of its own, brought up by the lifecycle manager, and a
    fourth part that only receives: it measures rate and age of the masks, compares them with the
    camera's ground truth where there is any, and writes summary.json, contact_sheet.png and a
    short film. It fails when no correct mask came.
    """
    options = DemoOptions(source, seconds, output, camera, segmentation, topic)
    with Display(Console(highlight=False)) as display, StopRequest() as stop:
        found = look_at(source, topic=topic)
        prepare_environment()
        with NodeProcesses(output / 'logs') as processes:
            try:
                return _run(options, found, processes=processes, display=display, stop=stop)
            except Interrupted as interrupted:
                display.finish_status()
                display.note(str(interrupted))
                return INTERRUPTED
            except DemoFailed as failure:
                display.finish_status()
                return _fail(display, processes, [str(failure)])


def _run(
    options: DemoOptions,
    source: DemoSource,
    *,
    processes: NodeProcesses,
    display: Display,
    stop: StopRequest,
) -> int:
    cv2.setNumThreads(1)  # the cores are for the nodes
    started_s = time.monotonic()

    def tell(node: str, what: str) -> None:
        display.note(f'{time.monotonic() - started_s:5.1f} s  {node} {what}')

    plans = node_plans(options, source)
    for plan in plans:
        processes.start(plan)
    names = ', '.join(plan.name for plan in plans)
    tell('starting', f'{names} in ROS domain {os.environ["ROS_DOMAIN_ID"]}')
    evaluation = Evaluation(Moments(MomentPlan.for_run(options.seconds)), on_transition=tell)
    with DemoViewer(evaluation, nodes=(CAMERA, SEGMENTATION)) as viewer:
        run = DemoRun(
            viewer,
            evaluation,
            processes=processes,
            display=display,
            stop=stop,
            options=options,
            source=source,
            started_s=started_s,
        )
        run.bring_up()
        run.watch()
        run.take_down()
        processes.end()
        summary = run.summary()
    return _conclude(
        summary, evaluation, run.remark, options=options, processes=processes, display=display
    )


def _conclude(
    summary: DemoSummary,
    evaluation: Evaluation,
    remark: str,
    *,
    options: DemoOptions,
    processes: NodeProcesses,
    display: Display,
) -> int:
    """Write and show everything; give the exit code."""
    problems = [remark] if remark else summary.problems()
    path = options.output / 'summary.json'
    write_summary(path, summary, problems)  # before the pictures, which may go wrong
    pictures = _pictures(summary, evaluation, options.output)
    sheet_due = not problems and summary.seconds >= SHEET_WITHIN_S
    if sheet_due and options.output / SHEET not in pictures:
        problems = [f'no {SHEET}: camera image, mask and overlay of one frame never came together']
        write_summary(path, summary, problems)
    display.console.print(table_of(summary))
    for written in (path, *pictures):
        display.note(f'wrote {written}')
    return _fail(display, processes, problems) if problems else 0


def _pictures(summary: DemoSummary, evaluation: Evaluation, output: Path) -> list[Path]:
    written: list[Path] = []
    if evaluation.moments.sheet:
        title = (
            f'edge_seg demo: {summary.model}, {summary.fps:.1f} masks/s, '
            f'age {summary.age_ms.p50:.0f} ms (p50)'
        )
        if summary.miou is not None:
            title += f', mIoU {summary.miou:.3f}'
        sheet = contact_sheet(evaluation.moments.sheet, evaluation.classes, title=title)
        path = output / SHEET
        if write_sheet(path, sheet):
            written.append(path)
    if evaluation.film:
        film = write_film(output, [film_picture(columns) for columns in evaluation.film])
        if film is not None:
            written.append(film)
    return written


def _fail(display: Display, processes: NodeProcesses, problems: list[str]) -> int:
    for name in processes.names:
        display.note(f'--- end of the log of {name}')
        display.note(processes.log_tail(name))
    for problem in problems:
        display.note(f'demo: {problem}', style='bold red')
    return REFUSED
