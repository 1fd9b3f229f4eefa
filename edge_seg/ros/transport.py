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
LARGE_TRANSPORTS = ('LARGE_DATA', 'P2P')


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
        Bytes; None with other middlewares and transports, which send large frames by themselves.
    """
    if 'fastrtps' not in (middleware or get_rmw_implementation_identifier()):
        return None
    path = profile_file(environment)
    if path:
        return _segment_in(path)
    transports = environment.get(TRANSPORTS_VARIABLE, '').partition('?')[0]
    return None if transports in LARGE_TRANSPORTS else DEFAULT_SEGMENT_BYTES


def profile_file(environment: Mapping[str, str] = os.environ) -> str:
    """Give the profile that this distribution's Fast DDS reads; '' for none."""
    old = environment.get(OLD_DDS_PROFILE_VARIABLE, '')
    if dds_profile_variable(environment) == OLD_DDS_PROFILE_VARIABLE:
        return old  # Fast DDS 2 knows no other name
    return environment.get(DDS_PROFILE_VARIABLE, '') or old


@lru_cache(maxsize=4)
def _segment_in(path: str) -> int:
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return DEFAULT_SEGMENT_BYTES  # Fast DDS reads it no better
    sizes = [
        int(text)
        for element in root.iter()
        if element.tag.rpartition('}')[2] == 'segment_size'
        and (text := (element.text or '').strip()).isdecimal()
    ]
    return max(sizes, default=DEFAULT_SEGMENT_BYTES)
