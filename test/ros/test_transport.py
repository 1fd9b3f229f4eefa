"""The size of the shared-memory segment, as the environment tells it."""

from pathlib import Path

from edge_seg.models.share import share_path
from edge_seg.ros.transport import segment_bytes
from edge_seg.runtime.health.health_inputs import DEFAULT_SEGMENT_BYTES
import pytest

NEW, OLD = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
FAST_DDS = 'rmw_fastrtps_cpp'
OURS = 64 << 20
PROFILE = str(share_path('config', 'fastdds_camera.xml'))


@pytest.mark.parametrize(
    ('distribution', 'variable', 'expected'),
    [
        ('kilted', NEW, OURS),
        ('kilted', OLD, OURS),
        ('jazzy', OLD, OURS),
        ('jazzy', NEW, DEFAULT_SEGMENT_BYTES),
        ('humble', OLD, OURS),
        ('kilted', 'UNRELATED', DEFAULT_SEGMENT_BYTES),
    ],
)
def test_the_profile_counts_under_the_names_that_this_fast_dds_reads(
    distribution: str, variable: str, expected: int
) -> None:
    environment = {'ROS_DISTRO': distribution, variable: PROFILE}
    assert segment_bytes(environment, middleware=FAST_DDS) == expected


def test_other_middlewares_and_large_data_have_no_such_limit() -> None:
    assert segment_bytes({}, middleware='rmw_cyclonedds_cpp') is None
    environment = {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA?max_msg_size=1MB'}
    assert segment_bytes(environment, middleware=FAST_DDS) is None


@pytest.mark.parametrize('content', ['', '<dds>', '<dds/>', '<segment_size>much</segment_size>'])
def test_a_profile_that_says_nothing_leaves_the_default(content: str, tmp_path: Path) -> None:
    profile = tmp_path / 'profile.xml'
    profile.write_text(content, 'utf-8')
    environment = {NEW: str(profile)}
    assert segment_bytes(environment, middleware=FAST_DDS) == DEFAULT_SEGMENT_BYTES
    profile.unlink()
    assert segment_bytes(environment, middleware=FAST_DDS) == DEFAULT_SEGMENT_BYTES
