"""How large a frame may be to come by shared memory: what the middleware here was told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
import os
from xml.etree import ElementTree

from edge_seg.ros.compat import (
    DDS_PROFILE_VARIABLE,
    dds_profile_variable,
    OLD_DDS_PROFILE_VARIABLE,
)
from edge_seg.runtime.health.health_inputs import DEFAULT_SEGMENT_BYTES
from rclpy.utilities import get_rmw_implementation_identifier

TRANSPORTS_VARIABLE = 'FASTDDS_BUILTIN_TRANSPORTS'
NO_SEGMENT = 0
_BUILT_IN = {
    'LARGE_DATA': None,
    'LARGE_DATAv6': None,
    'P2P': None,
    'UDPv4': NO_SEGMENT,
    'UDPv6': NO_SEGMENT,
}
"""Segments of the named sets of transports of Fast DDS; all others have the default."""


def segment_bytes(
    environment: Mapping[str, str] = os.environ, *, middleware: str | None = None
) -> int | None:
    """Give the size of Fast DDS's shared-memory segment in this process.

    Larger frames travel as fragments over UDP: slower by a factor of four, and lost where best
    effort is asked for. Publishers have a segment of their own, by their own environment; that it
    is the same as ours is assumed.

    Args:
        environment: where the profile is named.
        middleware: name of the RMW implementation; None = the one in use.

    Returns:
        Bytes; 0 without shared memory; None with other middlewares and transports, which send
        large frames by themselves.
    """
    if 'fastrtps' not in (middleware or get_rmw_implementation_identifier()):
        return None
    transports = _named_transports(environment)
    path = profile_file(environment)
    if path:
        return _segment_in(path, transports)
    return _BUILT_IN.get(transports, DEFAULT_SEGMENT_BYTES)


def profile_file(environment: Mapping[str, str] = os.environ) -> str:
    """Give the profile that this distribution's Fast DDS reads; '' for none."""
    old = environment.get(OLD_DDS_PROFILE_VARIABLE, '')
    if dds_profile_variable(environment) == OLD_DDS_PROFILE_VARIABLE:
        return old  # Fast DDS 2 knows no other name
    return environment.get(DDS_PROFILE_VARIABLE, '') or old


def _named_transports(environment: Mapping[str, str]) -> str:
    """Give the name of the built-in transports; '' for the default ones."""
    if (
        environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE') == 'LOCALHOST'
        or environment.get('ROS_LOCALHOST_ONLY') == '1'
    ):
        return ''  # rmw_fastrtps then replaces them by UDP and shared memory, whatever is named
    return environment.get(TRANSPORTS_VARIABLE, '').partition('?')[0]


@lru_cache(maxsize=4)
def _segment_in(path: str, transports: str) -> int | None:
    """Read a profile; ``transports`` is what holds where it names none of its own."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        root = ElementTree.Element('dds')  # Fast DDS reads it no better
    texts: dict[str, list[str]] = {}
    for element in root.iter():
        name = element.tag.rpartition('}')[2]
        texts.setdefault(name, []).append((element.text or '').strip())
    if 'SHM' in texts.get('type', ()):
        sizes = [int(text) for text in texts.get('segment_size', ()) if text.isdecimal()]
        return max(sizes, default=DEFAULT_SEGMENT_BYTES)
    if 'false' in texts.get('useBuiltinTransports', ()):
        return NO_SEGMENT
    named = texts.get('builtinTransports', [transports])[0]
    return _BUILT_IN.get(named, DEFAULT_SEGMENT_BYTES)
