"""Asks the CUDA driver by ctypes alone: what is here, before anything of TensorRT is made.

Without a working driver TensorRT's objects crash the process on first use instead of raising.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

DRIVER_LIBRARY = 'libcuda.so.1'
_CUDA_SUCCESS = 0
# CUresult, cuda.h
_CUDA_ERRORS = {
    34: 'the CUDA library found is a stub without a driver behind it',
    35: 'the NVIDIA driver is older than the CUDA library',
    100: 'no CUDA device was found',
    803: 'the NVIDIA driver and the CUDA library do not match',
    999: 'the NVIDIA driver failed to start',
}
# CUdevice_attribute, cuda.h
_SM_COUNT, _INTEGRATED, _CC_MAJOR, _CC_MINOR = 16, 18, 75, 76
_NAME_BYTES = 256
_BUS_ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One GPU as its driver describes it.

    Attributes:
        index: ordinal, as in 'GPU.0'.
        name: product name, e.g. 'Orin'.
        compute_capability: e.g. (8, 7).
        sm_count: streaming multiprocessors.
        integrated: the GPU shares the memory of the CPU (Jetson).
        driver_cuda: newest CUDA version that the driver supports, e.g. '12.6'.
    """

    index: int
    name: str
    compute_capability: tuple[int, int]
    sm_count: int
    integrated: bool
    driver_cuda: str

    def __str__(self) -> str:
        major, minor = self.compute_capability
        return f'GPU.{self.index} ({self.name}, compute {major}.{minor})'


class DriverRefused(Exception):
    """A call of the driver failed; the text says what that means."""


def driver_problem(library: str = DRIVER_LIBRARY) -> str:
    """Ask the CUDA driver whether it has a device.

    Args:
        library: file name of the driver's library.

    Returns:
        What is wrong, '' when there is at least one device.
    """
    try:
        _device_count(_opened(library))
    except DriverRefused as refusal:
        return str(refusal)
    return ''


def read_devices(library: str = DRIVER_LIBRARY) -> tuple[DeviceInfo, ...]:
    """Describe every GPU; needs no context and takes no GPU memory.

    Args:
        library: file name of the driver's library.

    Raises:
        DriverRefused: there is no driver, no device, or the driver fails.
    """
    driver = _opened(library)
    count = _device_count(driver)
    version = ctypes.c_int(0)
    _call(driver, 'cuDriverGetVersion', ctypes.byref(version))
    cuda = f'{version.value // 1000}.{version.value % 1000 // 10}'
    return tuple(_described(driver, index, cuda) for index in range(count))


def pci_bus_id(index: int, library: str = DRIVER_LIBRARY) -> str:
    """Say where a GPU is on the PCI bus, by which other libraries know it too.

    Args:
        index: ordinal of the GPU, of those that CUDA_VISIBLE_DEVICES leaves.
        library: file name of the driver's library.

    Returns:
        Domain, bus, device and function, e.g. '0000:01:00.0'.

    Raises:
        DriverRefused: there is no such GPU, or the driver fails.
    """
    driver = _opened(library)
    _device_count(driver)
    text = ctypes.create_string_buffer(_BUS_ID_BYTES)
    size = ctypes.c_int(_BUS_ID_BYTES)
    _call(driver, 'cuDeviceGetPCIBusId', text, size, _handle(driver, index))
    return text.value.decode('ascii')


def pop_context(library: str = DRIVER_LIBRARY) -> None:
    """Take the newest context from the stack of the calling thread.

    Args:
        library: file name of the driver's library.

    Raises:
        DriverRefused: there is none, or the driver fails.
    """
    # Without the suffix it is the function of CUDA 3.
    _call(_opened(library), 'cuCtxPopCurrent_v2', ctypes.byref(ctypes.c_void_p()))


def _opened(library: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(library)
    except OSError as error:
        raise DriverRefused(f'no NVIDIA driver ({error})') from error


def _device_count(driver: ctypes.CDLL) -> int:
    count = ctypes.c_int(0)
    _call(driver, 'cuInit', ctypes.c_uint(0))
    _call(driver, 'cuDeviceGetCount', ctypes.byref(count))
    if count.value < 1:
        raise DriverRefused(_CUDA_ERRORS[100])
    return count.value


def _handle(driver: ctypes.CDLL, index: int) -> ctypes.c_int:
    device = ctypes.c_int(0)
    _call(driver, 'cuDeviceGet', ctypes.byref(device), ctypes.c_int(index))
    return device


def _described(driver: ctypes.CDLL, index: int, cuda: str) -> DeviceInfo:
    device = _handle(driver, index)
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _call(driver, 'cuDeviceGetName', name, ctypes.c_int(_NAME_BYTES), device)

    def attribute(code: int) -> int:
        value = ctypes.c_int(0)
        _call(driver, 'cuDeviceGetAttribute', ctypes.byref(value), ctypes.c_int(code), device)
        return value.value

    return DeviceInfo(
        index,
        name.value.decode('utf-8', 'replace'),
        (attribute(_CC_MAJOR), attribute(_CC_MINOR)),
        attribute(_SM_COUNT),
        attribute(_INTEGRATED) != 0,
        cuda,
    )


def _call(driver: ctypes.CDLL, name: str, *arguments: Any) -> None:
    try:
        function = getattr(driver, name)
    except AttributeError as error:
        raise DriverRefused(f'no NVIDIA driver ({error})') from error
    code = int(function(*arguments))
    if code != _CUDA_SUCCESS:
        raise DriverRefused(_CUDA_ERRORS.get(code, f'the CUDA driver answered error {code}'))
