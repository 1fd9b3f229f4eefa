"""A ROS domain that nobody else on this machine uses: two rigs in one would drive each other."""

from collections.abc import Collection
import os
from pathlib import Path

# Robots, tests and demos are in 0 to 101, and may begin after the ports were looked at. The ports
# of those above may be taken by outgoing connections, which is why they are looked at.
FIRST_DOMAIN, DOMAINS = 102, 98
FIRST_PORT, PORTS_PER_DOMAIN = 7400, 250  # RTPS 2.2, 9.6.1.1


def use_free_domain() -> None:
    """Set ROS_DOMAIN_ID for this process and its children."""
    os.environ['ROS_DOMAIN_ID'] = str(free_domain(ports_in_use(), near=os.getpid()))


def free_domain(ports: Collection[int], *, near: int) -> int:
    """Give a domain, 102 to 199, of which no port is in use; ``near`` says where to begin."""
    taken = {(port - FIRST_PORT) // PORTS_PER_DOMAIN for port in ports}
    candidates = [FIRST_DOMAIN + (near + offset) % DOMAINS for offset in range(DOMAINS)]
    return next((domain for domain in candidates if domain not in taken), candidates[0])


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
