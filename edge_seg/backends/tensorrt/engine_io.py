"""Reads the inputs, outputs and needs of a loaded engine, by tensor name."""

from typing import Any

from edge_seg.backends.file_info import FoundTensor
from edge_seg.backends.tensorrt.fitting import DTYPES, EngineTensor, Profile
from edge_seg.backends.tensorrt.sdk import Sdk


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
        element_bytes=max(1, int(engine.get_tensor_bytes_per_component(name))),
    )


def _profile(engine: Any, name: str, index: int) -> Profile:
    smallest, best, largest = engine.get_tensor_profile_shape(name, index)
    return Profile(tuple(smallest), tuple(best), tuple(largest))


def _dtype(engine: Any, name: str) -> str:
    word = str(engine.get_tensor_dtype(name).name)
    return DTYPES.get(word, word.lower())


def activation_bytes(sdk: Sdk, engine: Any) -> int:
    """GPU memory that one execution context takes."""
    if sdk.has('ICudaEngine.device_memory_size_v2'):
        return int(engine.device_memory_size_v2)
    return int(engine.device_memory_size)
