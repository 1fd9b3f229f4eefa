"""The buffers of one engine: allocated once, filled and read for every frame."""

from dataclasses import dataclass

from edge_seg.backends.tensorrt.cuda.interface import Cuda, DeviceBuffer, HostBuffer, Stream
from edge_seg.backends.tensorrt.engine.fitting import Shape
from edge_seg.core.values import AnyArray


@dataclass(frozen=True, slots=True)
class PortPlan:
    """An input or output to make memory for.

    Attributes:
        name: tensor name.
        shape: every axis fixed.
        nbytes: size.
    """

    name: str
    shape: Shape
    nbytes: int


class Port:
    """Memory of one input or output that the host fills or reads.

    Args:
        cuda: where it is allocated; frees it.
        plan: what for.
        dtype: NumPy name.
        mapped: the GPU works in host memory, nothing is copied.
    """

    def __init__(self, cuda: Cuda, plan: PortPlan, dtype: str, *, mapped: bool) -> None:
        self._cuda = cuda
        self._host: HostBuffer = cuda.allocate_host(plan.nbytes, mapped=mapped)
        self._device: DeviceBuffer | None = None if mapped else cuda.allocate(plan.nbytes)
        self.array: AnyArray = self._host.array.view(dtype).reshape(plan.shape)

    @property
    def address(self) -> int:
        """Where the GPU finds it."""
        return self._host.device_address if self._device is None else self._device.address

    def upload(self, stream: Stream) -> None:
        """Queue the copy to the GPU, where one is needed."""
        if self._device is not None:
            self._cuda.upload(self._device, self._host, stream)

    def download(self, stream: Stream) -> None:
        """Queue the copy from the GPU, where one is needed."""
        if self._device is not None:
            self._cuda.download(self._host, self._device, stream)
