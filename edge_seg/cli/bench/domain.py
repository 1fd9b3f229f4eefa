"""A ROS domain that nobody else on this machine uses: two rigs in one would drive each other."""

from collections.abc import Collection
import os

from edge_seg.cli.ros_domain import FIRST_PORT, ports_in_use, PORTS_PER_DOMAIN

# Robots, tests and demos are in 0 to 101, and may begin after the ports were looked at. The ports
# of those above may be taken by outgoing connections, which is why they are looked at.
FIRST_DOMAIN, DOMAINS = 102, 98


def use_free_domain() -> None:
    """Set ROS_DOMAIN_ID for this process and its children."""
    os.environ['ROS_DOMAIN_ID'] = str(free_domain(ports_in_use(), near=os.getpid()))


def free_domain(ports: Collection[int], *, near: int) -> int:
    """Give a domain, 102 to 199, of which no port is in use; ``near`` says where to begin."""
    taken = {(port - FIRST_PORT) // PORTS_PER_DOMAIN for port in ports}
    candidates = [FIRST_DOMAIN + (near + offset) % DOMAINS for offset in range(DOMAINS)]
    return next((domain for domain in candidates if domain not in taken), candidates[0])
