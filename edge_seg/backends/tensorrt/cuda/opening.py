"""Which Python layer for CUDA is here, and opening one."""

from importlib import import_module
from importlib.util import find_spec
import logging
from typing import Literal

from edge_seg.backends.sdk import sdk_import
from edge_seg.backends.tensorrt.cuda.interface import Cuda, CudaFailed
from edge_seg.backends.tensorrt.cuda.with_bindings import CudaBindings
from edge_seg.backends.tensorrt.cuda.with_pycuda import PyCuda
from edge_seg.errors import BackendUnavailable

logger = logging.getLogger(__name__)

CudaLayer = Literal['auto', 'pycuda', 'cuda-bindings']
PYCUDA, CUDA_BINDINGS = 'pycuda', 'cuda-bindings'
_MODULES = {PYCUDA: 'pycuda.driver', CUDA_BINDINGS: 'cuda.bindings.driver'}
_HINTS = {
    PYCUDA: 'pip install pycuda (needs nvcc and a compiler), or: pip install cuda-bindings',
    CUDA_BINDINGS: 'pip install cuda-bindings',
}


def choose_layer(wanted: CudaLayer) -> str:
    """Pick the layer and import it, after the driver was asked.

    Args:
        wanted: a name, taken or refused; 'auto' takes PyCUDA where it is installed. When that is
            broken, cuda-bindings serve, and the log says what to repair.

    Raises:
        BackendUnavailable: it is absent or does not import.
    """
    if wanted != 'auto':
        return _imported(wanted)
    name = _present()
    try:
        return _imported(name)
    except BackendUnavailable as broken:
        if name == CUDA_BINDINGS:
            raise
        try:
            other = _imported(CUDA_BINDINGS)
        except BackendUnavailable:
            raise broken from None
        logger.warning('%s; %s is used instead', broken, other)
    return other


def _imported(name: str) -> str:
    with sdk_import(_MODULES[name].partition('.')[0], _HINTS[name]):
        import_module(_MODULES[name])
    return name


def open_cuda(layer: str, index: int) -> Cuda:
    """Open a GPU on this thread.

    Args:
        layer: what ``choose_layer`` gave.
        index: ordinal of the GPU.

    Raises:
        BackendUnavailable: the driver refuses.
    """
    try:
        return PyCuda(index) if layer == PYCUDA else CudaBindings(index)
    except CudaFailed as error:
        raise BackendUnavailable(
            f'CUDA does not start: {error}', remedy='look for NVRM or Xid in the kernel log'
        ) from error


def _present() -> str:
    for package, name in (('pycuda', PYCUDA), ('cuda', CUDA_BINDINGS)):
        try:
            if find_spec(package) is not None:
                return name
        except (ImportError, ValueError):
            return name  # there, and broken: importing it tells how
    return PYCUDA
