"""Inference of a network and nothing else, in a process of its own: the floor of every latency.

It uses edge_seg's backend with the settings and the precision of the node, so that what is
measured is the very computation that the node asks for.
"""

from dataclasses import asdict, dataclass
import json
from pathlib import Path
import subprocess
import sys
import threading
import time
from typing import cast, Literal

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import create
from edge_seg.models.package import open_package
import numpy as np

Precision = Literal['auto', 'fp32', 'fp16', 'bf16', 'int8']
WARM_UP = 20
BUSY_S = 1.0
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class RawInference:
    """Inference alone.

    Attributes:
        ms: median of calls at the camera's rate, as the node makes them.
        busy_ms: median of calls one right after the other. On a machine that does other things
            too these are slower: a process that never waits is made to wait by the scheduler.
        cpu_ms: processor time per call at the camera's rate, all threads.
        precision: in which the network computes.
    """

    ms: float
    busy_ms: float
    cpu_ms: float
    precision: str


def raw_inference(
    package: Path, *, precision: str, rate_hz: float, seconds: float
) -> RawInference:
    """Measure in a child process.

    Args:
        package: folder of the model.
        precision: in which the node computes, as it reports it.
        rate_hz: of the camera.
        seconds: of the calls at that rate.
    """
    words = [str(package), precision, str(rate_hz), str(seconds)]
    done = subprocess.run(
        [sys.executable, '-m', 'edge_seg.cli.bench.raw', *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT_S,
    )
    return RawInference(**json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Measure the package, in the precision, at the rate, for the seconds of the command line."""
    folder, precision = Path(sys.argv[1]), cast(Precision, sys.argv[2])
    rate_hz, seconds = map(float, sys.argv[3:5])
    package = open_package(folder)
    backend = create('openvino')
    artifact = package.artifact_for(list(backend.formats))
    model = backend.compile_model(
        artifact, package.manifest.spec, CompileOptions(precision=precision)
    )
    spec = model.inputs[0]
    rng = np.random.default_rng(0)
    tensor = rng.integers(0, 256, spec.shape).astype(spec.dtype)
    for _ in range(WARM_UP):
        model.infer([tensor])
    busy_s = []
    end_s = time.perf_counter() + BUSY_S
    while time.perf_counter() < end_s:
        begin_s = time.perf_counter()
        model.infer([tensor])
        busy_s.append(time.perf_counter() - begin_s)
    pause = threading.Event()
    paced_s = []
    begin_cpu_s = time.process_time()
    for _ in range(max(1, int(seconds * rate_hz))):
        begin_s = time.perf_counter()
        model.infer([tensor])
        paced_s.append(time.perf_counter() - begin_s)
        pause.wait(max(0.0, 1 / rate_hz - paced_s[-1]))
    cpu_s = time.process_time() - begin_cpu_s
    found = RawInference(
        ms=float(np.median(paced_s)) * 1e3,
        busy_ms=float(np.median(busy_s)) * 1e3,
        cpu_ms=cpu_s / len(paced_s) * 1e3,
        precision=model.report.precision,
    )
    print(json.dumps(asdict(found)), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
