"""What differs between ROS 2 distributions (Humble, Jazzy, Kilted), in this file only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
from pathlib import Path
from typing import Any

from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

__all__ = [
    'DDS_PROFILE_VARIABLE',
    'DDS_TRANSPORT_VARIABLES',
    'OLD_DDS_PROFILE_VARIABLE',
    'SubscriptionEventCallbacks',
    'dds_environment',
    'dds_profile_variable',
    'make_executor',
    'on_parameters_set',
]

# Fast DDS 2 (Humble, Jazzy) reads the second name; Fast DDS 3 reads both, and warns of the second.
DDS_PROFILE_VARIABLE = 'FASTDDS_DEFAULT_PROFILES_FILE'
OLD_DDS_PROFILE_VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE'
DDS_TRANSPORT_VARIABLES = (
    DDS_PROFILE_VARIABLE,
    OLD_DDS_PROFILE_VARIABLE,
    'FASTDDS_BUILTIN_TRANSPORTS',  # without a file
)
"""Who has set one of these has chosen transports."""
_FAST_DDS_2 = ('humble', 'iron', 'jazzy')


def dds_profile_variable(environment: Mapping[str, str] = os.environ) -> str:
    """Name the environment variable in which this distribution's Fast DDS looks for a profile."""
    old = environment.get('ROS_DISTRO') in _FAST_DDS_2
    return OLD_DDS_PROFILE_VARIABLE if old else DDS_PROFILE_VARIABLE


def dds_environment(profile: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give the variables that make this distribution's Fast DDS read a profile."""
    names = (DDS_PROFILE_VARIABLE, dds_profile_variable(environment))
    return dict.fromkeys(names, str(profile))


def make_executor() -> Executor:
    """Give the executor that nodes run on.

    Not rclpy.experimental.EventsExecutor: that of rclpy 9.1.2 (Kilted) spins without ever firing
    a timer, and knows no guard conditions.
    """
    return SingleThreadedExecutor()


def on_parameters_set(node: Node, callback: Callable[[list[Parameter[Any]]], None]) -> bool:
    """Call ``callback`` after parameters took effect.

    Returns:
        False when the distribution has no such hook (Humble): the caller must act at the end of
        its own on-set callback instead.
    """
    add = getattr(node, 'add_post_set_parameters_callback', None)
    if add is None:
        return False
    add(callback)
    return True
