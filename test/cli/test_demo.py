"""``edge_seg demo`` as a user runs it: real nodes, real DDS, a real process that is watched."""

from collections.abc import Iterator
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
pytestmark = pytest.mark.timeout(150)


class Demo:
    """One run; every process of it is gone after ``end``."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.output = folder / 'out'
        environment = {**os.environ, 'ROS_LOG_DIR': str(folder), 'PYTHONUNBUFFERED': '1'}
        for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
            environment.pop(name, None)  # the demo must find its own
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'edge_seg.cli.main', 'demo', '--output', str(self.output)]
            + list(words),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._over = False
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self) -> int:
        """Wait until it has ended and give the exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def wait_for(self, words: str) -> None:
        """Wait until it has printed this, or ended without."""
        with self._arrived:
            self._arrived.wait_for(lambda: words in self.printed or self._over, PATIENCE_S)
        assert words in self.printed, self.printed

    @property
    def printed(self) -> str:
        return ''.join(self._lines)

    def children(self) -> list[str]:
        """Give the command lines of its nodes that are still there."""
        found = []
        for entry in Path('/proc').glob('[0-9]*/cmdline'):
            try:
                words = entry.read_text('utf-8', 'replace').split('\0')
            except OSError:  # it ended in between
                continue
            if 'edge_seg.cli.node_child' in words and str(self.output) in ' '.join(words):
                found.append(' '.join(words))
        return found

    def until_children(self, count: int) -> None:
        """Wait until so many of its nodes are there; 0 = all are gone."""
        deadline_s = time.monotonic() + PATIENCE_S
        while len(self.children()) != count and time.monotonic() < deadline_s:
            threading.Event().wait(0.1)
        assert len(self.children()) == count, self.children()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        self.until_children(0)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._arrived:
                self._lines.append(line)
                self._arrived.notify_all()
        with self._arrived:
            self._over = True
            self._arrived.notify_all()


@pytest.fixture
def start(tmp_path: Path, ros_domain_id: int) -> Iterator[type[Demo]]:
    """Give a function that starts a demo with these words after ``edge_seg demo``."""
    runs: list[Demo] = []

    def begin(*words: str) -> Demo:
        runs.append(Demo(tmp_path, *words))
        return runs[-1]

    yield begin  # type: ignore[misc]
    for run in runs:
        run.end()


def test_a_short_run_gives_correct_masks_and_everything_that_is_promised(start):
    demo = start('--seconds', '4')
    assert demo.wait() == 0, demo.printed
    assert demo.children() == []
    for words in ('starting', 'camera active', 'segmentation active', 'masks/s', 'mIoU 0.'):
        assert words in demo.printed
    summary = json.loads((demo.output / 'summary.json').read_text('utf-8'))
    assert summary['ok'] is True
    assert summary['miou'] >= summary['least_miou'] >= 0.5
    assert summary['frames_in'] >= summary['masks_out'] >= summary['masks_received'] > 10
    dropped = sum(n for why, n in summary['drops'].items() if why != 'lost_in_transport')
    assert summary['frames_in'] == summary['masks_out'] + dropped
    assert 0 < summary['age_ms']['p50'] <= summary['age_ms']['p95'] <= summary['age_ms']['p99']
    assert summary['versions']['openvino']
    sheet = cv2.imread(str(demo.output / 'contact_sheet.png'))
    assert sheet.shape[1] > 1000
    film = next(demo.output.glob('demo.*'))
    assert cv2.VideoCapture(str(film)).read()[0]


def test_an_endless_run_on_pictures_ends_well_by_an_interrupt(start, tmp_path):
    folder = tmp_path / 'my pictures'
    folder.mkdir()
    for number in range(3):
        picture = cv2.applyColorMap(
            cv2.resize(cv2.UMat(4, 4, cv2.CV_8U, number * 80).get(), (320, 240)), cv2.COLORMAP_JET
        )
        cv2.imwrite(str(folder / f'{number}.jpg'), picture)
    demo = start('--seconds', '0', '--source', str(folder))
    demo.wait_for('  2 s')
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait() == 0, demo.printed
    summary = json.loads((demo.output / 'summary.json').read_text('utf-8'))
    assert summary['miou'] is None
    assert summary['masks_received'] > 0
    assert demo.children() == []


def write_bag(path: Path, count: int) -> None:
    """Write a camera that changes its shape, and sends much that cannot be read."""
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    typesys = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    image, time_type, header = (
        store.types[f'{package}/msg/{name}']
        for package, name in (
            ('sensor_msgs', 'Image'), ('builtin_interfaces', 'Time'), ('std_msgs', 'Header')
        )
    )  # fmt: skip
    shapes = (('rgb8', 160, 120, 1.0), ('rgb8', 160, 90, 1.0), ('rgb8', 160, 120, 0.5),
              ('no_such', 160, 120, 1.0))  # fmt: skip
    with rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin.MCAP) as writer:
        topic = writer.add_connection('/image', image.__msgtype__, typestore=store)
        for number in range(count):
            encoding, width, height, share = shapes[number % len(shapes)]
            message = image(
                header=header(stamp=time_type(sec=1 + number, nanosec=0), frame_id='camera'),
                height=height,
                width=width,
                encoding=encoding,
                is_bigendian=0,
                step=3 * width,
                data=np.full(int(share * 3 * width * height), number % 256, np.uint8),
            )
            data = store.serialize_cdr(message, image.__msgtype__)
            writer.write(topic, number * 33_000_000, data)


def test_a_bag_with_bad_frames_and_changing_shapes_is_played_to_its_end(start, tmp_path):
    write_bag(tmp_path / 'bag', 120)
    camera = ('-c', 'loop:=false', '-c', 'qos:=best_effort')
    demo = start('--seconds', '0', '--source', str(tmp_path / 'bag'), *camera)
    demo.wait_for('has ended after 120 frames')  # said when masks stop, too
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait() == 0, demo.printed
    summary = json.loads((demo.output / 'summary.json').read_text('utf-8'))
    assert summary['masks_received'] > 10
    assert {'truncated_data', 'unsupported_encoding'} <= set(summary['drops'])
    assert (demo.output / 'contact_sheet.png').is_file()


def test_nodes_end_when_the_demo_is_killed(start):
    demo = start('--seconds', '0')
    demo.wait_for('starting')
    demo.until_children(3)
    demo.process.kill()
    demo.wait()
    demo.until_children(0)


def test_no_masks_end_in_failure_and_the_reason(start):
    demo = start('--seconds', '4', '-p', 'model:=nowhere')
    assert demo.wait() == 1
    last = demo.printed.splitlines()[-1]
    assert 'demo: the nodes did not come up' in last
    assert "there is no model 'nowhere'" in last
    assert '--- end of the log of segmentation' in demo.printed
    assert demo.children() == []


def test_a_source_that_is_not_there_is_said_before_anything_is_started(start):
    demo = start('--source', '/no/such/walk.mp4')
    assert demo.wait() == 5
    assert "source '/no/such/walk.mp4' does not exist" in demo.printed
    assert 'starting' not in demo.printed
