"""Single steps of a frame, beside what is written in their place: milliseconds, one thread.

tools/in_ros_env python bench/single_steps.py

Of each the lowest of five medians: these loops run alone, so what is above the lowest is the
machine's.
"""

from array import array
from collections.abc import Callable
from pathlib import Path
import statistics
import tempfile
import time

import cv2
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.openvino import engine
from edge_seg.cli.bench.store import good_store, SECOND
from edge_seg.core.decode import decode
from edge_seg.core.geometry import plan_geometry
from edge_seg.core.postprocess import Postprocessor
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import (
    AnyArray,
    ArtifactFormat,
    DecodedImage,
    ModelSpec,
    RawImage,
    Size,
    TensorSpec,
)
import numpy as np
from rich.console import Console
from rich.table import Table

SIZES = (Size(640, 480), Size(1920, 1080))
ROUNDS, TIMES, WARM_UP = 5, 50, 3
Steps = dict[str, Callable[[], object]]


def milliseconds(step: Callable[[], object]) -> float:
    """Give the lowest of a few medians."""
    for _ in range(WARM_UP):
        step()
    medians = []
    for _ in range(ROUNDS):
        took_s = []
        for _ in range(TIMES):
            begin_s = time.perf_counter()
            step()
            took_s.append(time.perf_counter() - begin_s)
        medians.append(statistics.median(took_s) * 1e3)
    return min(medians)


def picture(size: Size) -> AnyArray:
    """Give smooth noise, (height, width, 3) uint8."""
    noise = np.random.default_rng(0).integers(0, 256, (size.height, size.width, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (9, 9), 0))


def decoding(size: Size) -> Steps:
    """Decode rgb8."""
    pixels = picture(size)
    raw = RawImage(size.width, size.height, 'rgb8', 3 * size.width, array('B', pixels.tobytes()))
    return {
        'decode rgb8: a view': lambda: decode(raw),
        '  instead of: a copy': lambda: np.frombuffer(raw.data, np.uint8).copy(),
    }


def preprocessing(size: Size, spec: ModelSpec, target: TensorSpec) -> Steps:
    """Resize, and bring into the type and layout of the network."""
    pixels = picture(size)
    image = DecodedImage(pixels, 'rgb')
    plan = plan_geometry(size, spec.input.size, spec.input.resize)
    network = (spec.input.size.width, spec.input.size.height)
    in_graph = Preprocessor(spec.input, target)
    floats = TensorSpec(target.name, (1, 3, network[1], network[0]), 'float32', 'NCHW')
    by_tables = Preprocessor(spec.input, floats)
    mean, std = np.float32(spec.input.mean), np.float32(spec.input.std)

    def by_numpy() -> AnyArray:
        small = cv2.resize(pixels, network)
        normal = (small.astype(np.float32) / np.float32(spec.input.scale) - mean) / std
        return np.ascontiguousarray(normal.transpose(2, 0, 1))[None]

    return {
        'preprocess: uint8, the rest in the graph': lambda: in_graph(image, plan),
        '  instead of: floats by tables in OpenCV': lambda: by_tables(image, plan),
        '  instead of: floats in NumPy': by_numpy,
        '  area filter alone': lambda: cv2.resize(pixels, network, interpolation=cv2.INTER_AREA),
        '  bilinear alone, skips pixels': lambda: cv2.resize(pixels, network),
    }


def postprocessing(size: Size, spec: ModelSpec, output: TensorSpec) -> Steps:
    """Decide on labels and bring them to camera size."""
    plan = plan_geometry(size, spec.input.size, spec.input.resize)
    scores = np.random.default_rng(0).normal(scale=3.0, size=output.shape).astype(np.float32)
    ours = Postprocessor(output, spec.output.kind, spec)
    labels, certainty = (np.empty((size.height, size.width), np.uint8) for _ in range(2))

    def by_numpy() -> AnyArray:
        found = scores[0].argmax(axis=0).astype(np.uint8)
        return np.asarray(cv2.resize(found, size, interpolation=cv2.INTER_NEAREST))

    return {
        f'labels of {output.shape[1]} planes': lambda: ours.labels(scores, plan, out=labels),
        '  with confidence': lambda: ours.labels_and_confidence(
            scores, plan, out=labels, confidence_out=certainty
        ),
        '  instead of: np.argmax and cv2.resize': by_numpy,
    }


def inference(artifact: Path, spec: ModelSpec) -> Steps:
    """Run the demo model, each with one thread."""
    choices = {
        'inference, bf16 where there is AMX': CompileOptions(device_precision=True),
        '  with argmax in the graph': CompileOptions(device_precision=True, argmax_in_graph=True),
        '  fp32': CompileOptions(),
        '  two threads': CompileOptions(device_precision=True, threads=2),
    }
    steps: Steps = {}
    for name, options in choices.items():
        model = engine.compile_file(artifact, spec, options)
        tensor = np.zeros(model.inputs[0].shape, np.uint8)
        steps[name] = lambda model=model, tensor=tensor: model.infer([tensor])
    return steps


def main() -> None:
    """Print a table."""
    cv2.setNumThreads(1)
    table = Table('step', *(f'{size.width}x{size.height}' for size in SIZES))
    with tempfile.TemporaryDirectory() as folder:
        package = good_store(Path(folder)).resolve(SECOND)
        spec = package.manifest.spec
        artifact = package.artifact_for([ArtifactFormat.ONNX])
        model = engine.compile_file(artifact, spec, CompileOptions())
        columns = [
            {
                **decoding(size),
                **preprocessing(size, spec, model.inputs[0]),
                **postprocessing(size, spec, model.outputs[0]),
            }
            for size in SIZES
        ]
        for name in columns[0]:
            table.add_row(name, *(f'{milliseconds(steps[name]):.3f}' for steps in columns))
        for name, step in inference(artifact, spec).items():
            table.add_row(name, f'{milliseconds(step):.2f}')
    Console().print(table)


if __name__ == '__main__':
    main()
