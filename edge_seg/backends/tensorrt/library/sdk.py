"""The TensorRT library of this process: imported on demand, one logger, members by capability."""

from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
import logging
from threading import Lock
from types import ModuleType
from typing import Any

from edge_seg.backends.sdk import sdk_import
from edge_seg.backends.tensorrt.cuda.driver import driver_problem
from edge_seg.backends.tensorrt.library.log_ring import make_logger, MessageRing
from edge_seg.backends.tensorrt.library.translate import explain
from edge_seg.backends.tensorrt.library.version import parse_version, TensorRtVersion
from edge_seg.errors import BackendUnavailable

logger = logging.getLogger(__name__)

INSTALL_HINT = 'install the NVIDIA driver, then: pip install tensorrt pycuda'
OLDEST = TensorRtVersion(8, 6, 0)
"""Older ones lack the API of tensors by name."""

_first = Lock()
"""Two threads that ask first must get one logger: TensorRT keeps a bare pointer to it."""


@dataclass(frozen=True)
class Sdk:
    """TensorRT, imported.

    Attributes:
        trt: the module ``tensorrt``.
        version: as it says itself, e.g. '10.13.3.9'.
        ring: TensorRT's last errors.
        logger: to be given to every TensorRT object; lives as long as the process, because
            TensorRT keeps using the first one it saw.
    """

    trt: ModuleType
    version: str
    ring: MessageRing = field(repr=False)
    logger: Any = field(repr=False)

    @property
    def parsed_version(self) -> TensorRtVersion:
        """Major, minor, patch."""
        return parse_version(self.version)

    def has(self, member: str) -> bool:
        """Whether this version has a member, e.g. 'BuilderFlag.FP16'.

        Versions are never compared: flags come and go, and are renumbered.
        """
        return optional(self.trt, member) is not None


def optional(trt: ModuleType, member: str) -> Any:
    """Give a class, enum value or class member by its dotted name; None where it is absent."""
    found: Any = trt
    for part in member.split('.'):
        found = getattr(found, part, None)
    return found


def load_sdk() -> Sdk:
    """Import TensorRT, after the driver was asked.

    Raises:
        BackendUnavailable: no driver, no device, no TensorRT, or a broken or too old one.
    """
    problem = driver_problem()
    if problem:
        raise BackendUnavailable(problem, remedy=INSTALL_HINT)
    with sdk_import('tensorrt', INSTALL_HINT):
        trt = import_module('tensorrt')
        with _first:
            return _session(trt)


@cache
def _session(trt: ModuleType) -> Sdk:
    version = str(trt.__version__)
    if not hasattr(trt, 'Runtime') or parse_version(version) < OLDEST:
        raise ImportError(f'TensorRT {version} is too old, {OLDEST} or newer is needed')
    ring = MessageRing()
    sdk = Sdk(trt, version, ring, make_logger(trt, ring))
    _register_plugins(sdk)
    return sdk


def _register_plugins(sdk: Sdk) -> None:
    """Tell this process of TensorRT's own plugins: without, engines that use one do not load.

    The ONNX parser does so by itself. An engine would load where it was built, and nowhere else.
    """
    register = optional(sdk.trt, 'init_libnvinfer_plugins')
    if register is None:
        return  # engines without plugins load
    mark = sdk.ring.mark()
    try:
        told = () if register(sdk.logger, '') else ('no reason given',)
    except (RuntimeError, TypeError) as error:
        told = (str(error),)
    if told:
        why = ' | '.join(sdk.ring.since(mark) or told)
        logger.warning('TensorRT does not register its plugins: %s', why)


def start_runtime(sdk: Sdk) -> Any:
    """Make the object that loads engines; on the thread that will use it.

    Raises:
        BackendUnavailable: TensorRT does not start.
    """
    mark = sdk.ring.mark()
    try:
        runtime = sdk.trt.Runtime(sdk.logger)
    except (RuntimeError, TypeError) as error:
        # pybind11 says TypeError where the C++ factory gave nothing.
        why = explain((*sdk.ring.since(mark), str(error)))
        raise BackendUnavailable(why.met, remedy=why.remedy or INSTALL_HINT) from error
    return runtime
