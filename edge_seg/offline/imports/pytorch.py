"""Turns PyTorch networks into ONNX: torch.export files, TorchScript files, factories.

The exporter that traces is used: the one that torch.export feeds needs the package onnxscript.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Any
import warnings
import zipfile

from edge_seg.backends.sdk import sdk_import
from edge_seg.core.values import AnyArray
from edge_seg.errors import CompileFailed, OptionInvalid, UnsupportedNetwork
from edge_seg.offline.imports.factories import first_line, FOREIGN_ERRORS, is_factory, network_from
from edge_seg.offline.imports.network import Wish
import numpy as np

INSTALL_HINT = 'pip install torch'
SUFFIXES = ('.pt2', '.pt', '.pth', '.ts')
OPSET = 17
INPUT = 'image'
EXPORTED = ('archive_format', 'serialized_exported_program.json')
"""A file of torch.export.save holds one of these; the second up to PyTorch 2.7."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the network computed before it was exported.

    Attributes:
        image: the input, noise.
        outputs: by name, what came out.
    """

    image: AnyArray
    outputs: Mapping[str, AnyArray]


def export_onnx(source: str, target: Path, wish: Wish) -> Sample:
    """Write a PyTorch network as ONNX.

    Args:
        source: a .pt2 of torch.export.save, a file of torch.jit.save, or the name of a function
            without arguments that returns a torch.nn.Module: 'package.module:function' or
            'path/file.py:function'.
        target: the .onnx to write; its input is called 'image'.
        wish: the size, for what has none of its own.

    Returns:
        What it must compute.

    Raises:
        BackendUnavailable: PyTorch is missing.
        CompileFailed: the file cannot be read, the factory fails, or an operation has no ONNX.
        OptionInvalid: the size is needed, or there is no such factory.
        UnsupportedNetwork: it gives no tensors.
    """
    with sdk_import('torch', INSTALL_HINT):
        import torch
    if is_factory(source):
        network = network_from(source, torch)
        shape = None
    else:
        network, shape = _from_file(torch, Path(source))
    shapes = _shapes(torch, network, shape, wish)
    scripted = isinstance(network, torch.jit.ScriptModule)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of the exporter, about its own future and our constants
        image, outputs = _computed(torch, network, shapes, source)
        if not outputs:
            raise UnsupportedNetwork(
                f'{source} returns no tensors', expected='a tensor, or several by name'
            )
        traced = network if scripted else _flattened(torch, network)
        _export(torch, traced, image, tuple(outputs), target, source)
    return Sample(image.numpy(), {name: value.numpy() for name, value in outputs.items()})


def _from_file(torch: Any, path: Path) -> tuple[Any, tuple[int, ...] | None]:
    """Load a network; of one that torch.export wrote, the shape of its input too."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise CompileFailed(
            f'{path.name} is no file of PyTorch ({first_line(error)})',
            remedy='write it with torch.export.save or torch.jit.save',
        ) from error
    if any(name.rpartition('/')[2] in EXPORTED for name in names):
        return _exported(torch, path)
    if any('/code/' in name for name in names):
        try:
            return torch.jit.load(str(path), map_location='cpu').eval(), None
        except (RuntimeError, ValueError) as error:
            raise CompileFailed(
                f'{path.name} cannot be read as TorchScript: {first_line(error)}'
            ) from error
    raise CompileFailed(
        f'{path.name} holds weights without a network, or a pickle, which would run any code',
        expected='a file of torch.export.save or torch.jit.save',
        remedy='or name a function that returns the network with its weights: module:function',
    )


def _exported(torch: Any, path: Path) -> tuple[Any, tuple[int, ...] | None]:
    try:
        with _quiet('torch.export'):
            program = torch.export.load(str(path))
    except FOREIGN_ERRORS as error:
        raise CompileFailed(
            f'{path.name} cannot be read: {first_line(error)}',
            remedy='export it again with this version of PyTorch, '
            f'{torch.__version__.partition("+")[0]}',
        ) from error
    images = set(program.graph_signature.user_inputs)
    shapes = [
        tuple(axis if isinstance(axis, int) else -1 for axis in node.meta['val'].shape)
        for node in program.graph.nodes
        if node.op == 'placeholder' and node.name in images and hasattr(node.meta['val'], 'shape')
    ]
    if len(images) != 1 or len(shapes) != 1:
        raise UnsupportedNetwork(
            f'{path.name} takes {len(images)} inputs',
            expected='one image',
            remedy='export a module that has the others fixed',
        )
    return program.module(), shapes[0]


def _shapes(
    torch: Any, network: Any, shape: tuple[int, ...] | None, wish: Wish
) -> list[tuple[int, ...]]:
    """List the shapes that the image may have, the likeliest first: (1, C, H, W) or as exported.

    The first filter has the image's channels, unless it is no filter of the image.
    """
    size = (-1, -1) if shape is None else shape[-2:]
    if -1 in size and wish.size is None:
        raise OptionInvalid(
            'a PyTorch network does not tell the size of its input',
            remedy='pass --input-size WIDTHxHEIGHT',
        )
    if wish.size is not None:
        wanted = wish.size[::-1]
        size = tuple(w if met == -1 else met for met, w in zip(size, wanted, strict=False))
    if shape is not None:
        return [(*(1 if axis == -1 else axis for axis in shape[:-2]), *size)]
    known = (p for p in network.parameters() if not torch.nn.parameter.is_lazy(p))
    first = next((int(p.shape[1]) for p in known if p.dim() == 4), 3)
    likely = (1, 3) if first == 1 else (3, 1, first)
    return [(1, channels, *size) for channels in dict.fromkeys(likely)]


def _noise(torch: Any, network: Any, shape: tuple[int, ...]) -> Any:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    dtypes = (p.dtype for p in network.parameters() if p.is_floating_point())
    dtype = next(dtypes, torch.float32)
    if dtype not in (torch.float32, torch.float16):
        raise UnsupportedNetwork(
            f'the network computes in {str(dtype).removeprefix("torch.")}',
            expected='float32 or float16',
            remedy='call .float() on it',
        )
    return torch.from_numpy(values).to(dtype)


def _computed(
    torch: Any, network: Any, shapes: Sequence[tuple[int, ...]], source: str
) -> tuple[Any, dict[str, Any]]:
    """Run a network on an image of the first shape that it takes; give image and outputs."""
    failures = []
    for shape in shapes:
        image = _noise(torch, network, shape)
        try:
            return image, dict(_named(torch, network(image)))
        except FOREIGN_ERRORS as error:
            failures.append(error)
    raise CompileFailed(
        f'{source} fails on an image of {_axes(shapes[0])}: {first_line(failures[0])}',
        remedy='pass another --input-size; most networks want a multiple of 32',
    ) from failures[0]


def _named(torch: Any, value: Any, name: str = '') -> Iterator[tuple[str, Any]]:
    """Give the tensors in what a network returns, with names."""
    if isinstance(value, torch.Tensor):
        yield name or 'output', value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _named(torch, each, f'{name}.{key}' if name else str(key))
    elif isinstance(value, (tuple, list)):
        names = getattr(value, '_fields', range(len(value)))
        for key, each in zip(names, value, strict=True):
            yield from _named(torch, each, f'{name}.{key}' if name else f'output{key}')


def _flattened(torch: Any, network: Any) -> Any:
    """Wrap a network so that it returns a tuple of tensors, whatever it returned before."""

    class Flattened(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def train(self, mode: bool = True) -> Any:
            return self  # the exporter calls it, and exported programs refuse it

        def forward(self, image: Any) -> Any:
            return tuple(value for _, value in _named(torch, self.network(image)))

    return Flattened()


def _export(
    torch: Any, network: Any, image: Any, names: tuple[str, ...], target: Path, source: str
) -> None:
    try:
        torch.onnx.export(
            network,
            (image,),
            str(target),
            dynamo=False,
            input_names=[INPUT],
            output_names=list(names),
            opset_version=OPSET,
        )
    except FOREIGN_ERRORS as error:  # tracing runs the user's code once more
        raise CompileFailed(
            f'{source} has no form in ONNX: {first_line(error)}',
            remedy='replace that operation, or export the network to ONNX yourself',
        ) from error


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a logger from telling with a traceback what is told in one line here, or is fine."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


def _axes(shape: Any) -> str:
    return 'x'.join(str(axis) for axis in shape)
