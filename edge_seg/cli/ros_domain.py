"""ROS domains that only one holder on this machine has: tests and demos would drive each other."""

from collections.abc import Iterator
from contextlib import contextmanager
import itertools
import os
from pathlib import Path
import socket

from edge_seg.errors import EdgeSegError

# Domains above 101 reach into the ports that Linux gives to outgoing connections.
DOMAINS = range(1, 102)
FIRST_PORT, PORTS_PER_DOMAIN = 7400, 250  # RTPS 2.2, 9.6.1.1
_turn = itertools.count(os.getpid())


class NoDomainLeft(EdgeSegError):
    """All ROS domains are in use on this machine."""


@contextmanager
def claimed_domain() -> Iterator[int]:
    """Hold a domain in which nobody is for as long as the block runs.

    Raises:
        NoDomainLeft: as it says.
    """
    domain, claim = _claim()
    with claim:
        yield domain


def claim_domain() -> int:
    """Hold a domain in which nobody is until this process ends, however it ends.

    Raises:
        NoDomainLeft: as it says.
    """
    domain, claim = _claim()
    claim.detach()
    return domain


def domains_in_use() -> set[int]:
    """List the domains that processes are in, whether they claimed them or not (a robot's)."""
    return {(port - FIRST_PORT) // PORTS_PER_DOMAIN for port in ports_in_use()}


def ports_in_use() -> set[int]:
    """List the local UDP ports that are bound; none where the kernel does not say."""
    found = set()
    for table in ('/proc/net/udp', '/proc/net/udp6'):
        try:
            lines = Path(table).read_text('ascii').splitlines()[1:]
        except OSError:
            continue
        found |= {int(line.split()[1].rpartition(':')[2], 16) for line in lines}
    return found


def _claim() -> tuple[int, socket.socket]:
    in_use = domains_in_use()
    for _ in DOMAINS:
        domain = DOMAINS[next(_turn) % len(DOMAINS)]
        if domain in in_use:
            continue
        # An abstract socket: the kernel frees the name with its holder, and it is the same name
        # for every user and every clone.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f'\0edge_seg_ros_domain_{domain}')
        except OSError:
            claim.close()
            continue
        return domain, claim
    raise NoDomainLeft(
        f'ROS domains {DOMAINS[0]} to {DOMAINS[-1]} are all in use on this machine',
        remedy='end some of the tests, demos and nodes, or set ROS_DOMAIN_ID',
    )
