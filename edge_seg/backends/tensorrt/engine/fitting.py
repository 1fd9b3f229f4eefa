"""What an engine's inputs and outputs are, compared with what the manifest declares."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_seg.backends.declared import check_input, check_output, input_shape, LABEL_DTYPES, select
from edge_seg.backends.file_info import FoundTensor, listed
from edge_seg.core.values import (
    InputSpec,
    ModelSpec,
    OutputKind,
    OutputSpec,
    TensorLayout,
    TensorSpec,
)
from edge_seg.errors import IncompatibleModel

Shape = tuple[int, ...]
# trt.DataType names; those NumPy lacks keep a name that no specification has.
DTYPES = {
    'FLOAT': 'float32', 'HALF': 'float16', 'INT8': 'int8', 'INT32': 'int32', 'INT64': 'int64',
    'BOOL': 'bool', 'UINT8': 'uint8', 'BF16': 'bfloat16', 'FP8': 'float8', 'INT4': 'int4',
}  # fmt: skip
_RANK_LAYOUTS: dict[int, TensorLayout] = {2: 'HW', 3: 'NHW'}


@dataclass(frozen=True, slots=True)
class Profile:
    """The range of one input's shape in one optimisation profile."""

    smallest: Shape
    best: Shape
    largest: Shape

    def takes(self, shape: Shape) -> bool:
        """Whether a shape lies in the range."""
        return len(shape) == len(self.smallest) and all(
            low <= axis <= high
            for low, axis, high in zip(self.smallest, shape, self.largest, strict=True)
        )


@dataclass(frozen=True, slots=True)
class EngineTensor:
    """An input or output of an engine, as the engine has it.

    Attributes:
        found: name, shape (-1 where it is open) and NumPy dtype.
        is_input: True for inputs.
        on_device: False for shape tensors, which live in host memory.
        linear: False for vectorised formats.
        profiles: of an input, one entry for each optimisation profile.
        element_bytes: size of one number, at least 1.
    """

    found: FoundTensor
    is_input: bool
    on_device: bool = True
    linear: bool = True
    profiles: tuple[Profile, ...] = ()
    element_bytes: int = 1


@dataclass(frozen=True, slots=True)
class InputFit:
    """How the image input is run.

    Attributes:
        spec: as the caller fills it.
        run_shape: the engine's own shape, without a batch axis where it has none.
        profile: index of the optimisation profile.
        fused: what the engine does by itself.
    """

    spec: TensorSpec
    run_shape: Shape
    profile: int
    fused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutputFit:
    """How the output is read: as the caller gets it, and what it means."""

    spec: TensorSpec
    kind: OutputKind
    fused: tuple[str, ...]


def fit_input(tensors: Sequence[EngineTensor], spec: ModelSpec, *, file: str) -> InputFit:
    """Compare the engine's inputs with the declared one.

    An engine with a uint8 input normalises by itself (it was fused), also where the manifest
    describes the network before that.

    Raises:
        IncompatibleModel: other inputs, name, dtype, axes or range.
    """
    _check_plain(tensors, file)
    inputs = [tensor for tensor in tensors if tensor.is_input]
    found = [tensor.found for tensor in inputs]
    image = select(found, spec.input.name, what='input', field='input.name', file=file)
    declared = spec.input
    fused: tuple[str, ...] = ('uint8_input',) if image.dtype == 'uint8' else ()
    if image.dtype == 'uint8' and spec.input.dtype != 'uint8':
        declared = _as_fused(spec.input, image)
        fused = ('uint8_input', 'normalise')
    run_shape = check_input(found, declared, file=file)
    profile = _profile(inputs[0].profiles, run_shape, file)
    return InputFit(
        TensorSpec(declared.name, input_shape(declared), declared.dtype, declared.layout),
        run_shape,
        profile,
        fused,
    )


def pick_output(tensors: Sequence[EngineTensor], spec: ModelSpec, *, file: str) -> FoundTensor:
    """Find the output that the manifest names.

    Raises:
        IncompatibleModel: there is none of that name.
    """
    found = [tensor.found for tensor in tensors if not tensor.is_input]
    return select(found, spec.output.name, what='output', field='output.name', file=file)


def fit_output(found: FoundTensor, spec: ModelSpec, *, file: str) -> OutputFit:
    """Compare the output with the declared one, once every axis is known.

    Integers where scores were declared are class ids: the argmax was fused.

    Raises:
        IncompatibleModel: dtype, rank or number of classes, or a dtype that NumPy lacks.
    """
    if found.dtype not in DTYPES.values() or found.dtype in ('bfloat16', 'float8', 'int4'):
        raise IncompatibleModel(
            f"{file}: output '{found.name}' is {found.dtype}",
            expected='a type that NumPy has',
            remedy='export the network with a float32 or float16 output, or fuse the argmax',
        )
    declared = spec.output
    fused: tuple[str, ...] = ()
    if found.dtype in LABEL_DTYPES and declared.kind is not OutputKind.LABELS:
        declared, fused = _as_labels(declared, found), ('argmax',)
    tensor = check_output(found, replace(spec, output=declared), file=file)
    return OutputFit(tensor, declared.kind, fused)


def _as_fused(declared: InputSpec, image: FoundTensor) -> InputSpec:
    """Describe the input of a fused engine: raw pixels, in whichever layout fits."""
    for layout in (declared.layout, 'NHWC', 'NCHW'):
        candidate = replace(declared, dtype='uint8', layout=layout)
        shape = input_shape(candidate)
        if image.shape is None or _fits(image.shape, shape) or _fits(image.shape, shape[1:]):
            return candidate
    return replace(declared, dtype='uint8')


def _fits(shape: Shape, wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(
        axis in (-1, want) for axis, want in zip(shape, wanted, strict=True)
    )


def _as_labels(declared: OutputSpec, found: FoundTensor) -> OutputSpec:
    rank = len(found.shape or ())
    layout = _RANK_LAYOUTS.get(rank, declared.layout)
    return replace(declared, kind=OutputKind.LABELS, layout=layout)


def _profile(profiles: Sequence[Profile], shape: Shape, file: str) -> int:
    if not profiles:
        return 0
    taking = [index for index, profile in enumerate(profiles) if profile.takes(shape)]
    if not taking:
        ranges = '; '.join(f'{p.smallest} to {p.largest}' for p in profiles)
        raise IncompatibleModel(
            f'{file} was built for the input shapes {ranges}',
            expected=f'{shape} within',
            remedy='rebuild the engine with input.size of the manifest',
        )
    best = [index for index in taking if profiles[index].best == shape]
    return (best or taking)[0]


def _check_plain(tensors: Sequence[EngineTensor], file: str) -> None:
    odd = tuple(t.found for t in tensors if not t.on_device or not t.linear)
    if odd:
        raise IncompatibleModel(
            f'{file} has tensors in host memory or in a vectorised format: {listed(odd)}',
            expected='plain (linear) tensors in device memory',
            remedy='rebuild the engine without I/O formats and shape inputs',
        )
