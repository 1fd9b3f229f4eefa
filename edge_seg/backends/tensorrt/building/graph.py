"""Reads an ONNX file into a TensorRT network and compares it with the manifest."""

from pathlib import Path
from typing import Any, NoReturn

from edge_seg.backends.file_info import FoundTensor
from edge_seg.backends.tensorrt.engine.fitting import (
    DTYPES,
    EngineTensor,
    fit_input,
    InputFit,
    pick_output,
    Shape,
)
from edge_seg.backends.tensorrt.library.sdk import optional, Sdk
from edge_seg.backends.tensorrt.library.translate import explain
from edge_seg.core.values import ModelSpec
from edge_seg.errors import CompileFailed

MAX_ERRORS_TOLD = 8


def make_network(sdk: Sdk, builder: Any, *, strongly_typed: bool) -> Any:
    """Make an empty network.

    Raises:
        CompileFailed: TensorRT refuses.
    """
    mark = sdk.ring.mark()
    names = ['EXPLICIT_BATCH', *(['STRONGLY_TYPED'] if strongly_typed else [])]
    bits = 0
    for name in names:
        # EXPLICIT_BATCH went with TensorRT 11, where there is no other way.
        flag = optional(sdk.trt, f'NetworkDefinitionCreationFlag.{name}')
        bits |= 0 if flag is None else 1 << int(flag)
    network = builder.create_network(bits)
    if network is None:
        refuse(sdk, mark, 'TensorRT makes no network')
    return network


def parse_onnx(sdk: Sdk, network: Any, path: Path) -> None:
    """Fill a network from an ONNX file and its external data.

    Raises:
        CompileFailed: with all errors of the parser, each with its node.
    """
    mark = sdk.ring.mark()
    parser = sdk.trt.OnnxParser(network, sdk.logger)
    # By name, not by content: external data is found, and the GIL stays out of it.
    if parser.parse_from_file(str(path)):
        return
    errors = [_worded(parser.get_error(index)) for index in range(parser.num_errors)]
    told = '; '.join(errors[:MAX_ERRORS_TOLD])
    if len(errors) > MAX_ERRORS_TOLD:
        told += f'; and {len(errors) - MAX_ERRORS_TOLD} more'
    why = explain((*errors, *sdk.ring.since(mark)))
    raise CompileFailed(
        f'TensorRT cannot read {path.name}: {told or why.met}',
        remedy=why.remedy or 'export it with another opset, or without the operators named',
    )


def fit_network(sdk: Sdk, network: Any, spec: ModelSpec, file: str) -> InputFit:
    """Compare the network's inputs and outputs with the manifest.

    Raises:
        IncompatibleModel: they differ.
    """
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    tensors = [_described(each, is_input=True) for each in inputs]
    tensors += [_described(each, is_input=False) for each in outputs]
    pick_output(tensors, spec, file=file)
    return fit_input(tensors, spec, file=file)


def add_profile(sdk: Sdk, builder: Any, network: Any, config: Any, fit: InputFit) -> None:
    """Pin an input of open shape to the one that the manifest declares.

    Raises:
        CompileFailed: TensorRT refuses the shape.
    """
    if all(axis >= 0 for axis in network.get_input(0).shape):
        return
    mark = sdk.ring.mark()
    shape, name = fit.run_shape, fit.spec.name
    profile = builder.create_optimization_profile()
    if profile is None:
        refuse(sdk, mark, 'TensorRT makes no optimisation profile')
    try:
        profile.set_shape(name, shape, shape, shape)
        added = config.add_optimization_profile(profile)
    except (RuntimeError, ValueError) as error:
        refuse(sdk, mark, f'TensorRT does not take {name} as {shape}', str(error))
    if added < 0:
        refuse(sdk, mark, f'TensorRT does not take {name} as {shape}')


def refuse(sdk: Sdk, mark: int, what: str, *more: str) -> NoReturn:
    """Raise what TensorRT gave only as None or False.

    Raises:
        CompileFailed: always.
    """
    why = explain((*sdk.ring.since(mark), *more))
    raise CompileFailed(f'{what}: {why.met}', remedy=why.remedy)


def _described(tensor: Any, *, is_input: bool) -> EngineTensor:
    word = str(tensor.dtype.name)
    dtype = DTYPES.get(word, word.lower())
    return EngineTensor(FoundTensor(str(tensor.name), _shape(tensor), dtype), is_input)


def _shape(tensor: Any) -> Shape | None:
    try:
        return tuple(tensor.shape)
    except ValueError:  # the rank is -1 where TensorRT cannot tell it, which len() does not take
        return None


def _worded(error: Any) -> str:
    """Write one error of the parser; its members are methods, and some are new in 10."""
    operator = str(error.node_operator()) if hasattr(error, 'node_operator') else ''
    name = str(error.node_name()) if hasattr(error, 'node_name') else ''
    where = ' '.join(part for part in (operator, name) if part) or f'node {error.node()}'
    return f'{where}: {" ".join(str(error.desc()).split())}'
