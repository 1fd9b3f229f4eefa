"""Deep learning accelerators: some Jetsons have one or two, other machines have none."""

from typing import Any

from edge_seg.backends.tensorrt.library.sdk import Sdk, start_runtime
from edge_seg.errors import BackendUnavailable


def check_accelerator(sdk: Sdk, core: int) -> None:
    """Refuse an accelerator that is not here, before minutes are spent on building for it.

    The builder only logs that there is none, and builds for the GPU.

    Args:
        sdk: TensorRT.
        core: which one; -1 for none.

    Raises:
        BackendUnavailable: there is no such DLA core, or TensorRT does not start.
    """
    if core >= 0:
        use_accelerator(start_runtime(sdk), core)


def use_accelerator(runtime: Any, core: int) -> None:
    """Have a runtime load engines for a DLA core.

    Raises:
        BackendUnavailable: there is no such core.
    """
    count = int(runtime.num_DLA_cores)
    if core >= count:
        raise BackendUnavailable(
            f'dla_core: {core}, this device has {count} DLA cores',
            expected=f'0 to {count - 1}' if count else 'no dla_core',
            remedy='set dla_core: -1',
        )
    runtime.DLA_core = core
