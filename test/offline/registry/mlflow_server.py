"""A real MLflow server with its SQLite store, on a port of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import threading
from urllib.error import URLError
from urllib.request import urlopen

START_LIMIT_S = 100.0
LOOK_EVERY_S = 0.1


def free_port() -> int:
    """Give a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run a server and give its address once it answers."""
    address = f'http://127.0.0.1:{(port := free_port())}'
    words = [sys.executable, '-m', 'mlflow', 'server', '--host', '127.0.0.1', '--port', str(port)]
    words += ['--backend-store-uri', f'sqlite:///{folder / "mlflow.db"}', '--workers', '1']
    words += ['--artifacts-destination', str(folder / 'artifacts')]
    # Workers of jobs would only cost seconds here.
    settings = {'MLFLOW_DISABLE_TELEMETRY': 'true', 'MLFLOW_SERVER_ENABLE_JOB_EXECUTION': 'false'}
    log = folder / 'mlflow.log'
    with log.open('wb') as stream:
        server = subprocess.Popen(
            words,
            env={**os.environ, **settings},
            stdout=stream,
            stderr=stream,
            cwd=folder,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(server, f'{address}/health', log)
        yield address
    finally:
        # The server has workers: all of its session.
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_until_it_answers(server: subprocess.Popen[bytes], health: str, log: Path) -> None:
    pause = threading.Event()
    for _ in range(int(START_LIMIT_S / LOOK_EVERY_S)):
        if server.poll() is not None:
            break
        try:
            with urlopen(health, timeout=5):
                return
        except (URLError, OSError):
            pause.wait(LOOK_EVERY_S)
    raise RuntimeError(f'MLflow does not start: {log.read_text("utf-8", "replace")[-2000:]}')
