"""Whose DDS profile holds, for the nodes of the demo and for whatever tools/in_ros_env starts."""

import os
from pathlib import Path
import shutil
import subprocess

from edge_seg.cli.node_processes import prepare_environment
from edge_seg.models.share import share_path
import pytest

IN_ROS_ENV = Path(__file__).parents[2] / 'tools' / 'in_ros_env'
NEW, OLD = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
READ = {'kilted': NEW, 'jazzy': OLD}
"""The name that the distribution's Fast DDS reads; Kilted's reads the other one too, and warns."""
OURS = 'fastdds_camera.xml'


@pytest.fixture(params=list(READ))
def distribution(request, monkeypatch):
    monkeypatch.setenv('ROS_DISTRO', request.param)
    for name in (NEW, OLD):
        monkeypatch.setenv(name, '')
    return request.param


def of_the_demo(tmp_path):
    prepare_environment()
    assert share_path('config', OURS).is_file()
    return dict(os.environ)


def of_the_tool(tmp_path):
    """Run a copy of the tool beside what looks like a colcon build."""
    distribution = os.environ['ROS_DISTRO']
    share = tmp_path / f'build/colcon/{distribution}/install/edge_seg/share/edge_seg'
    share.mkdir(parents=True)
    (share / 'package.bash').touch()
    (tmp_path / 'tools').mkdir()
    tool = shutil.copy(IN_ROS_ENV, tmp_path / 'tools')
    printed = subprocess.run([tool, 'env', '-0'], check=True, capture_output=True, text=True)
    return dict(line.split('=', 1) for line in printed.stdout.split('\0') if line)


@pytest.mark.parametrize('environment', [of_the_demo, of_the_tool])
@pytest.mark.parametrize(
    ('set_by_user', 'expected'),
    [((), OURS), ((NEW,), NEW), ((OLD,), OLD), ((NEW, OLD), 'the one that is read')],
    ids=['none', 'new', 'old', 'both'],
)
def test_the_profile_of_the_user_stays(
    set_by_user, expected, environment, distribution, monkeypatch, tmp_path
):
    for name in set_by_user:
        monkeypatch.setenv(name, f'/mine/{name}')
    found = environment(tmp_path)
    read = READ[distribution]
    wanted = read if len(set_by_user) == 2 else expected
    assert Path(found[read]).name == wanted
    if distribution == 'kilted':
        assert OLD not in found
