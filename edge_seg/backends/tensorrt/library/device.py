"""Which GPU is meant by ``CompileOptions.device``."""

from collections.abc import Sequence

from edge_seg.backends.tensorrt.cuda.driver import (
    DeviceInfo,
    DriverRefused,
    pci_bus_id,
    read_devices,
)
from edge_seg.backends.tensorrt.library.sdk import INSTALL_HINT
from edge_seg.errors import BackendUnavailable


def this_device(requested: str) -> DeviceInfo:
    """Describe the GPU that ``CompileOptions.device`` names.

    Raises:
        BackendUnavailable: there is no driver, or no such GPU.
    """
    try:
        return _picked(requested, read_devices())
    except DriverRefused as refusal:
        raise BackendUnavailable(str(refusal), remedy=INSTALL_HINT) from refusal


def bus_id(requested: str) -> str:
    """Say where on the PCI bus the GPU is that ``CompileOptions.device`` names.

    Raises:
        BackendUnavailable: there is no driver, no such GPU, or it does not tell.
    """
    device = this_device(requested)
    try:
        return pci_bus_id(device.index)
    except DriverRefused as refusal:
        raise BackendUnavailable(f'{device} is on no known bus: {refusal}') from refusal


def _picked(requested: str, devices: Sequence[DeviceInfo]) -> DeviceInfo:
    """Find the GPU that ``device`` names.

    Args:
        requested: AUTO, GPU (the first one) or GPU.n.
        devices: what is here, at least one.

    Raises:
        BackendUnavailable: there is no such GPU.
    """
    name = requested.strip().upper()
    if name in ('AUTO', 'GPU'):
        return devices[0]
    for device in devices:
        if name == f'GPU.{device.index}':
            return device
    raise BackendUnavailable(
        f"TensorRT has no device '{requested}'; it sees {', '.join(map(str, devices))}",
        expected='AUTO, GPU or GPU.n',
        remedy='set device: AUTO',
    )
