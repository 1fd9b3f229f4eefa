"""Reads the inputs, outputs and needs of a loaded engine, by tensor name."""

from typing import Any

from edge_seg.backends.file_info import FoundTensor
from edge_seg.backends.tensorrt.engine.fitting import DTYPES, EngineTensor, Profile
from edge_seg.backends.tensorrt.library.sdk import Sdk

# Not get_tensor_bytes_per_component: TensorRT answers -1 for tensors that are not vectorised.
_BYTES = {
    'FLOAT': 4, 'INT32': 4, 'HALF': 2, 'BF16': 2,
    'INT8': 1, 'UINT8': 1, 'BOOL': 1, 'FP8': 1, 'INT4': 1, 'FP4': 1, 'E8M0': 1,
}  # fmt: skip
_MOST_BYTES = 8
"""Of INT64, and of what is not known: too large a buffer does no harm."""


def read_tensors(sdk: Sdk, engine: Any) -> tuple[EngineTensor, ...]:
    """Describe every input and output of an engine, in its order."""
    names = [str(engine.get_tensor_name(index)) for index in range(engine.num_io_tensors)]
    return tuple(_described(sdk, engine, name) for name in names)


def _described(sdk: Sdk, engine: Any, name: str) -> EngineTensor:
    trt = sdk.trt
    is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
    profiles: tuple[Profile, ...] = ()
    if is_input:  # outputs have none, and asking for them is an error
        profiles = tuple(
            _profile(engine, name, index) for index in range(engine.num_optimization_profiles)
        )
    return EngineTensor(
        FoundTensor(name, tuple(engine.get_tensor_shape(name)), _dtype(engine, name)),
        is_input,
        on_device=engine.get_tensor_location(name) == trt.TensorLocation.DEVICE,
        linear=engine.get_tensor_format(name) == trt.TensorFormat.LINEAR,
        profiles=profiles,
        element_bytes=_BYTES.get(_word(engine, name), _MOST_BYTES),
    )


def _profile(engine: Any, name: str, index: int) -> Profile:
    smallest, best, largest = engine.get_tensor_profile_shape(name, index)
    return Profile(tuple(smallest), tuple(best), tuple(largest))


def _dtype(engine: Any, name: str) -> str:
    word = _word(engine, name)
    return DTYPES.get(word, word.lower())


def _word(engine: Any, name: str) -> str:
    return str(engine.get_tensor_dtype(name).name)


def activation_bytes(sdk: Sdk, engine: Any) -> int:
    """GPU memory that one execution context takes."""
    if sdk.has('ICudaEngine.device_memory_size_v2'):
        return int(engine.device_memory_size_v2)
    return int(engine.device_memory_size)
