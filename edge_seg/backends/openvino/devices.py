"""OpenVINO's runtime: the one Core of this process, its devices, and its errors made readable."""

from functools import lru_cache
import re

from edge_seg.backends.base import Availability
from edge_seg.errors import BackendUnavailable
import openvino as ov
from openvino.frontend import (
    GeneralFailure,
    InitializationFailure,
    NotImplementedFailure,
    OpConversionFailure,
    OpValidationFailure,
)

SDK_ERRORS = (
    RuntimeError, GeneralFailure, InitializationFailure, NotImplementedFailure,
    OpConversionFailure, OpValidationFailure,
)  # fmt: skip
"""What OpenVINO raises about models and devices; its frontends' failures are no RuntimeError. A
TypeError from it is our own mistake and passes."""

# Known to the Core, not to the devices.
_CORE_PROPERTIES = ('CACHE_DIR', 'CACHE_MODE', 'ENABLE_MMAP')
_META_DEVICES = ('AUTO', 'MULTI', 'HETERO')
_SOURCE_LINE = re.compile(r"^(Exception from \S+:\d+:?|Check '.*' failed at \S+:\d+:?)$")
_MAX_ERROR_LENGTH = 300


@lru_cache(maxsize=1)
def core() -> ov.Core:
    """Give the Core of this process.

    One is enough: it is thread-safe, holds no models, and a Core of its own for each model
    loads the device plugins anew each time.
    """
    return ov.Core()


def version() -> str:
    """OpenVINO's version without the build number, e.g. '2026.4.1'."""
    return str(ov.__version__).split('-', maxsplit=1)[0]


def readable(error: BaseException) -> str:
    """OpenVINO's message without the lines that name its own source files."""
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [
        line
        for line in lines
        if line and not _SOURCE_LINE.match(line) and not line.startswith('FrontEnd API failed')
    ]
    text = ' '.join(kept) or ' '.join(lines) or type(error).__name__
    return text if len(text) <= _MAX_ERROR_LENGTH else text[: _MAX_ERROR_LENGTH - 1] + '…'


def availability() -> Availability:
    """Version and devices; not available when OpenVINO sees no device at all."""
    try:
        devices = tuple(core().available_devices)
    except SDK_ERRORS as error:
        return Availability(
            False,
            version(),
            reason=f'OpenVINO does not start ({readable(error)})',
            remedy='install it again: pip install --force-reinstall openvino',
        )
    if not devices:
        return Availability(
            False,
            version(),
            reason='OpenVINO sees no device',
            remedy='install it again: pip install --force-reinstall openvino',
        )
    return Availability(True, version(), (*devices, 'AUTO'))


def resolve(requested: str) -> str:
    """Check a device name against what is here.

    Args:
        requested: CPU, GPU, GPU.n, NPU, AUTO, or AUTO:, MULTI: or HETERO: with a list.

    Returns:
        The name in capitals. AUTO becomes the device's own name where there is only one: the
        AUTO plugin would add its layer and its threads for a choice that does not exist.

    Raises:
        BackendUnavailable: OpenVINO sees no such device, or does not know the form.
    """
    name = requested.strip().upper()
    available = list(core().available_devices)
    head, colon, rest = name.partition(':')
    if name == 'AUTO' and len(available) == 1:
        return str(available[0])
    if head in _META_DEVICES and (colon or head == 'AUTO'):
        members = [part.strip().lstrip('-') for part in rest.split(',')] if colon else []
    else:
        members = [name]
    for member in members:
        if not _is_here(member, available):
            _refuse(requested, member, available)
    return name


def _is_here(name: str, available: list[str]) -> bool:
    if name in available:
        return True
    # A single GPU is listed as 'GPU' and answers to 'GPU.0'; several as 'GPU.0', 'GPU.1'.
    base, _, index = name.partition('.')
    if index:
        return index == '0' and base in available
    return f'{base}.0' in available


def _refuse(requested: str, member: str, available: list[str]) -> None:
    within = f" in '{requested}'" if member != requested.strip().upper() else ''
    raise BackendUnavailable(
        f"OpenVINO has no device '{member}'{within}; it sees {', '.join(available)}",
        expected='CPU, GPU, GPU.n, NPU, AUTO, or AUTO:, MULTI: or HETERO: with a list of these',
        remedy=f'install the driver of that device, or set device: {available[0]}',
    )


def full_name(device: str) -> str:
    """Device name with the product's name, e.g. 'CPU (Intel(R) Xeon(R) Processor)'."""
    try:
        return f'{device} ({str(core().get_property(device, "FULL_DEVICE_NAME")).strip()})'
    except SDK_ERRORS:
        # A plugin that does not tell; the short name is still true.
        return device


@lru_cache(maxsize=8)
def property_names(device: str) -> frozenset[str]:
    """Names of the properties that a device takes; empty when it does not tell.

    Asked once: each such question leaks 2.3 KiB (OpenVINO 2026.4, SUPPORTED_PROPERTIES).
    """
    try:
        names = core().get_property(device, 'SUPPORTED_PROPERTIES')
    except SDK_ERRORS:
        return frozenset()
    return frozenset((*names, *_CORE_PROPERTIES))
