"""Parameters of the TensorRT backend; other backends take no notice of them."""

from collections.abc import Mapping

from edge_seg.runtime.parameters.parameter_spec import ParameterSpec

TENSORRT_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        'tensorrt_cuda',
        'string',
        'auto',
        'TensorRT only: Python layer for CUDA; auto prefers pycuda',
        choices=('auto', 'pycuda', 'cuda-bindings'),
    ),
    ParameterSpec(
        'tensorrt_memory',
        'string',
        'pinned',
        'TensorRT only: pinned copies between host and GPU, mapped lets the GPU of a Jetson work '
        'in host memory, auto is mapped on a Jetson and pinned elsewhere',
        choices=('pinned', 'mapped', 'auto'),
    ),
    ParameterSpec(
        'tensorrt_cuda_graph',
        'bool',
        False,
        'TensorRT only: launch a frame as one recorded CUDA graph; needs cuda-bindings',
    ),
    ParameterSpec(
        'tensorrt_dla_core',
        'int',
        -1,
        'TensorRT only: deep learning accelerator to build and load for; -1 = the GPU',
        '',
        -1,
        15,
    ),
    ParameterSpec(
        'tensorrt_unrecorded',
        'bool',
        False,
        'TensorRT only: take engines without a record of what they were built for, as those of '
        'trtexec; only for such as were built on this very machine',
    ),
    ParameterSpec(
        'tensorrt_workspace_mib',
        'int',
        0,
        'TensorRT only: most scratch memory of a layer when an engine is built; 0 = 1024 on a '
        'Jetson, 4096 elsewhere',
        'MiB',
        0,
        1 << 20,
    ),
    ParameterSpec(
        'tensorrt_optimisation_level',
        'int',
        3,
        'TensorRT only: 0 builds engines fast, 5 builds fast engines',
        '',
        0,
        5,
    ),
)


def backend_options(values: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Give the values that are no defaults as the backend's options: ('tensorrt.memory', 'auto').

    Args:
        values: by the names of the parameters.
    """
    return tuple(
        (spec.name.replace('_', '.', 1), str(values[spec.name]).lower())
        for spec in TENSORRT_PARAMETERS
        if values[spec.name] != spec.default
    )
