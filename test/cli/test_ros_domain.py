"""ROS domains of tests and demos: never two holders, none with a robot, free again at the end."""

from contextlib import ExitStack
import os
import socket
import subprocess
import sys

from edge_seg.cli import ros_domain
from edge_seg.cli.ros_domain import claimed_domain, FIRST_PORT, NoDomainLeft, PORTS_PER_DOMAIN
import pytest

DEMO = """
from edge_seg.cli import ros_domain
from edge_seg.cli.node_processes import prepare_environment
import os, sys
ros_domain.DOMAINS = [int(word) for word in sys.argv[1:]]
prepare_environment()
print(os.environ['ROS_DOMAIN_ID'], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def few_domains(monkeypatch):
    """Let these tests claim from a handful of their own, which nobody else wants."""
    first = 1000 * os.getpid()
    domains = range(first, first + 4)
    monkeypatch.setattr(ros_domain, 'DOMAINS', domains)
    return domains


def test_nobody_gets_a_domain_that_is_held(few_domains):
    with ExitStack() as claims:
        held = [claims.enter_context(claimed_domain()) for _ in few_domains]
        assert sorted(held) == list(few_domains)
        with pytest.raises(NoDomainLeft, match='set ROS_DOMAIN_ID'):
            claims.enter_context(claimed_domain())
    with claimed_domain() as again:
        assert again in few_domains


def demo(*domains: int) -> 'subprocess.Popen[str]':
    """Start a process that prepares itself as a demo does, prints its domain, and waits."""
    return subprocess.Popen(
        [sys.executable, '-c', DEMO, *map(str, domains)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_demo_holds_its_domain_until_its_process_ends(monkeypatch, few_domains):
    monkeypatch.delenv('ROS_DOMAIN_ID')
    only = few_domains[:1]
    monkeypatch.setattr(ros_domain, 'DOMAINS', only)
    with demo(*only) as process:
        assert process.stdout.readline() == f'{only[0]}\n'
        with ExitStack() as claims, pytest.raises(NoDomainLeft):
            claims.enter_context(claimed_domain())
        process.kill()
    with claimed_domain() as freed:
        assert freed == only[0]


def test_a_domain_that_the_user_names_is_kept(monkeypatch, few_domains):
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')
    with demo(*few_domains) as process:
        assert process.stdout.readline() == '7\n'
        process.kill()


def test_a_domain_with_a_robot_in_it_is_left_alone(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as robot, ExitStack() as claims:
        robot.bind(('127.0.0.1', 0))
        port = robot.getsockname()[1]
        taken = (port - FIRST_PORT) // PORTS_PER_DOMAIN
        monkeypatch.setattr(ros_domain, 'DOMAINS', [taken])
        with pytest.raises(NoDomainLeft):
            claims.enter_context(claimed_domain())
