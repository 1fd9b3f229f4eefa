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


@pytest.mark.parametrize(
    'middleware', ['rmw_cyclonedds_cpp', 'rmw_connextdds', 'rmw_zenoh_cpp', 'rmw_gurumdds_cpp']
)
def test_other_middlewares_have_no_such_limit(middleware: str) -> None:
    assert segment_bytes({NEW: PROFILE}, middleware=middleware) is None


@pytest.mark.parametrize('middleware', [FAST_DDS, 'rmw_fastrtps_dynamic_cpp'])
@pytest.mark.parametrize(
    ('transports', 'expected'),
    [
        ('', DEFAULT_SEGMENT_BYTES),
        ('DEFAULT', DEFAULT_SEGMENT_BYTES),
        ('SHM', DEFAULT_SEGMENT_BYTES),
        ('LARGE_DATA?max_msg_size=1MB', None),
        ('LARGE_DATAv6', None),
        ('UDPv4', 0),
        ('UDPv6', 0),
    ],
)
def test_the_built_in_transports_decide_where_no_profile_does(
    transports: str, expected: int | None, middleware: str
) -> None:
    environment = {'FASTDDS_BUILTIN_TRANSPORTS': transports}
    assert segment_bytes(environment, middleware=middleware) == expected


@pytest.mark.parametrize('transports', ['LARGE_DATA', 'UDPv4', ''])
@pytest.mark.parametrize(
    'narrowed', [{'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, {'ROS_LOCALHOST_ONLY': '1'}]
)
def test_on_one_machine_only_the_middleware_sets_its_own_transports(
    narrowed: dict[str, str], transports: str
) -> None:
    environment = {'FASTDDS_BUILTIN_TRANSPORTS': transports, **narrowed}
    assert segment_bytes(environment, middleware=FAST_DDS) == DEFAULT_SEGMENT_BYTES
    assert segment_bytes({**environment, NEW: PROFILE}, middleware=FAST_DDS) == OURS


@pytest.mark.parametrize(
    ('elements', 'expected'),
    [
        ('<type>UDPv4</type> <useBuiltinTransports>false</useBuiltinTransports>', 0),
        ('<type>UDPv4</type> <useBuiltinTransports>true</useBuiltinTransports>', None),
        ('<type>SHM</type> <useBuiltinTransports>false</useBuiltinTransports>', 512 << 10),
        ('<type>SHM</type> <segment_size>4096000</segment_size>', 4096000),
        ('<builtinTransports max_msg_size="1MB">UDPv4</builtinTransports>', 0),
        ('<publisher profile_name="image"/>', None),
    ],
)
def test_a_profile_counts_as_far_as_it_concerns_transports(
    elements: str, expected: int | None, tmp_path: Path
) -> None:
    profile = tmp_path / 'profile.xml'
    profile.write_text(f'<dds xmlns="http://www.eprosima.com">{elements}</dds>', 'utf-8')
    environment = {NEW: str(profile), 'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'}
    assert segment_bytes(environment, middleware=FAST_DDS) == expected


@pytest.mark.parametrize('content', ['', '<dds>', '<dds/>', '<segment_size>much</segment_size>'])
def test_a_profile_that_says_nothing_leaves_the_default(content: str, tmp_path: Path) -> None:
    profile = tmp_path / 'profile.xml'
    profile.write_text(content, 'utf-8')
    environment = {NEW: str(profile)}
    assert segment_bytes(environment, middleware=FAST_DDS) == DEFAULT_SEGMENT_BYTES
    profile.unlink()
    assert segment_bytes(environment, middleware=FAST_DDS) == DEFAULT_SEGMENT_BYTES
