"""The TensorRT backend: probes for the driver and the SDK; it cannot run models yet."""

import ctypes
from importlib.util import find_spec
from pathlib import Path

from edge_seg.backends.base import Availability, CompiledModel, CompileOptions
from edge_seg.core.values import ArtifactFormat, ModelSpec
from edge_seg.errors import BackendUnavailable

INSTALL_HINT = 'install the NVIDIA driver, then: pip install tensorrt pycuda'
DRIVER_LIBRARY = 'libcuda.so.1'
_PACKAGES = ('tensorrt', 'pycuda')
_CUDA_SUCCESS = 0
# CUresult, cuda.h
_CUDA_ERRORS = {
    34: 'the CUDA library found is a stub without a driver behind it',
    35: 'the NVIDIA driver is older than the CUDA library',
    100: 'no CUDA device was found',
    803: 'the NVIDIA driver and the CUDA library do not match',
    999: 'the NVIDIA driver failed to start',
}


class TensorRtBackend:
    """NVIDIA TensorRT through its Python bindings and PyCUDA.

    This version can only say what is missing: ``probe`` is never positive, so 'auto' passes on
    to the next backend, and ``compile_model`` refuses.
    """

    name = 'tensorrt'
    formats = (ArtifactFormat.TENSORRT_ENGINE, ArtifactFormat.ONNX)

    def probe(self) -> Availability:
        """Say what is missing, driver first; never raises and imports nothing of TensorRT.

        Without a working driver TensorRT's objects crash the process on first use instead of
        raising, so the driver is asked by itself.
        """
        reason = driver_problem()
        if not reason:
            missing = [package for package in _PACKAGES if not _installed(package)]
            reason = f'{" and ".join(missing)} not installed' if missing else ''
        if reason:
            return Availability(False, reason=reason, remedy=INSTALL_HINT)
        return Availability(
            False,
            reason='this version of edge_seg does not run TensorRT yet',
            remedy='set backend: openvino or opencv',
        )

    def compile_model(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> CompiledModel:
        """Refuse.

        Raises:
            BackendUnavailable: always, with what is missing.
        """
        found = self.probe()
        raise BackendUnavailable(
            f'{artifact.name} cannot be compiled with TensorRT: {found.reason}',
            expected='an NVIDIA driver with a device, tensorrt and pycuda',
            remedy=found.remedy,
        )


def driver_problem(library: str = DRIVER_LIBRARY) -> str:
    """Ask the CUDA driver whether it has a device.

    Args:
        library: file name of the driver's library.

    Returns:
        What is wrong, '' when there is at least one device.
    """
    try:
        driver = ctypes.CDLL(library)
        initialise, count_devices = driver.cuInit, driver.cuDeviceGetCount
    except (OSError, AttributeError) as error:
        return f'no NVIDIA driver ({error})'
    count = ctypes.c_int(0)
    code = int(initialise(ctypes.c_uint(0)))
    if code == _CUDA_SUCCESS:
        code = int(count_devices(ctypes.byref(count)))
    if code != _CUDA_SUCCESS:
        return _CUDA_ERRORS.get(code, f'the CUDA driver answered error {code}')
    return '' if count.value > 0 else _CUDA_ERRORS[100]


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False
