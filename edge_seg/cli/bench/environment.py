"""Where and with what a benchmark ran: machine, versions, commit, load of the machine."""

from datetime import datetime, timezone
import importlib.metadata
import os
from pathlib import Path
import platform
import subprocess

import edge_seg
import psutil

PACKAGES = (
    'rclpy',
    'ros-rmw-fastrtps-cpp',
    'ros-fastdds',
    'numpy',
    'opencv-python-headless',
    'openvino',
    'onnx',
    'onnxruntime',
)
GIT_TIMEOUT_S = 10.0


def environment() -> dict[str, str]:
    """Describe the machine and everything whose version matters; all values are text."""
    memory_gib = psutil.virtual_memory().total / 2**30
    described = {
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'commit': commit(),
        'processor': _processor(),
        'cores': str(len(os.sched_getaffinity(0))),
        'memory': f'{memory_gib:.1f} GiB',
        'system': f'{platform.system()} {platform.release()} {platform.machine()}',
        'python': platform.python_version(),
        'edge_seg': edge_seg.__version__,
        'ros_distro': os.environ.get('ROS_DISTRO', ''),
        'rmw': os.environ.get('RMW_IMPLEMENTATION', 'default'),
        'dds_profile': Path(os.environ.get('FASTDDS_DEFAULT_PROFILES_FILE', '')).name,
    }
    for package in PACKAGES:
        try:
            described[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return described


def load() -> dict[str, float]:
    """Say how busy the machine is: load average, and share of time that tasks wait for a core."""
    found = {'load_1min': os.getloadavg()[0]}
    try:
        text = Path('/proc/pressure/cpu').read_text('ascii')
    except OSError:
        return found
    for word in text.splitlines()[0].split():
        if word.startswith('avg60='):
            found['cpu_pressure_percent_60s'] = float(word.partition('=')[2])
    return found


def commit() -> str:
    """Name the commit of the source tree, with '+' when files differ from it; '' without git."""
    try:
        head = _git('rev-parse', '--short=12', 'HEAD')
        changed = _git('status', '--porcelain', '--untracked-files=no')
    except (OSError, subprocess.SubprocessError):
        return ''
    return f'{head}+' if changed else head


def _git(*words: str) -> str:
    done = subprocess.run(
        ['git', *words], capture_output=True, text=True, check=True, timeout=GIT_TIMEOUT_S
    )
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text('utf-8').splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor()
