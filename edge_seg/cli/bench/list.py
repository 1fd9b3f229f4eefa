"""The benchmarks there are: what each measures, how long it takes, where it is."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from edge_seg.cli.bench.result import BenchOptions, BenchResult, RUNS


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark.

    Attributes:
        place: 'module:function'.
        brief: a few words.
        minutes: on two cores, and with --quick.
        about: what is compared with what.
    """

    place: str
    brief: str
    minutes: tuple[float, float]
    about: str

    def load(self) -> Callable[[BenchOptions], BenchResult]:
        """Import it."""
        module, _, attribute = self.place.partition(':')
        found = getattr(import_module(module), attribute)
        return cast('Callable[[BenchOptions], BenchResult]', found)


ONCE = ('memory', 'reload')
"""Benchmarks whose length is not that of so many runs."""
BENCHMARKS: Mapping[str, Benchmark] = {
    'latency': Benchmark(
        'edge_seg.cli.bench.latency:run',
        'age of the mask',
        (14, 1),
        'Age of the mask at the consumer (camera stamp to arrival) at 10, 30 and 60 Hz, 640x480 '
        'and 1920x1080, beside a plain node (bench/naive_node.py) and inference alone; processor '
        'time per frame.',
    ),
    'throughput': Benchmark(
        'edge_seg.cli.bench.throughput:run',
        'highest camera rate',
        (5, 0.5),
        "Highest camera rate with under 5 % unanswered frames, beside what OpenVINO's "
        'benchmark_app reaches with the latency hint, same model, same precision.',
    ),
    'cameras': Benchmark(
        'edge_seg.cli.bench.cameras:run',
        '1 to 8 cameras on one model',
        (5, 1),
        'The same number of frames a second, more than the node can segment, from 1, 2, 4 and 8 '
        'cameras: masks a second in all, fairness (Jain index), age.',
    ),
    'nav2': Benchmark(
        'edge_seg.cli.bench.nav2:run',
        'mask, confidence and overlay at once',
        (5, 1),
        'Mask, confidence and overlay of a network with an input of 640x480 and 8 classes, made '
        'for the purpose, at 10 and 30 Hz, beside a node in the manner of the Nav2 tutorial '
        '(bench/nav2_node.py). Needs the package onnx.',
    ),
    'cold-start': Benchmark(
        'edge_seg.cli.bench.cold_start:run',
        'process start to first mask',
        (1, 0.5),
        'Node and manager start beside a running camera: seconds to the first mask, with and '
        'without the compiled model in the cache.',
    ),
    'encodings': Benchmark(
        'edge_seg.cli.bench.encodings:run',
        'cost of each input encoding',
        (5, 1),
        'Decoding, processor time per frame and age for every input encoding, 640x480, 30 Hz.',
    ),
    'levers': Benchmark(
        'edge_seg.cli.bench.levers:run',
        'what each lever of the frame path is worth',
        (11, 2.5),
        'Age of the mask and processor time with and without each lever: DDS profile, allocator, '
        'frames past the executor, message reuse, precision, threads, lazy outputs.',
    ),
    'idle': Benchmark(
        'edge_seg.cli.bench.idle:run',
        'processor time of a node with nothing to do',
        (2, 0.5),
        'Share of one core while a camera publishes 640x480 at 30 Hz: active without a '
        'subscriber, and inactive.',
    ),
    'memory': Benchmark(
        'edge_seg.cli.bench.memory:run',
        'growth at 30 Hz',
        (11, 1.5),
        'Slope of the memory of the node over ten minutes at 30 Hz; --minutes for less.',
    ),
    'reload': Benchmark(
        'edge_seg.cli.bench.reload:run',
        'models that change, processes that are killed',
        (13, 4),
        'Reload with and without a build, rollback, refusal, 200 good and 200 failed reloads '
        '(--reloads), kill -9 of node, manager, build and publication, cold start. Needs the '
        'package onnx.',
    ),
}


def minutes_of(
    names: Collection[str], *, quick: bool, memory: float = 10.0, runs: int = RUNS
) -> float:
    """Say how long these take on two cores.

    Args:
        names: of benchmarks.
        quick: one run of each.
        memory: minutes of the benchmark memory.
        runs: of each measurement.
    """
    if quick:
        return sum(BENCHMARKS[name].minutes[quick] for name in names)
    minutes = {name: BENCHMARKS[name].minutes[quick] for name in names}
    longer = memory - 10.0 if 'memory' in minutes else 0.0
    share = runs / RUNS
    return longer + sum(each if name in ONCE else share * each for name, each in minutes.items())
