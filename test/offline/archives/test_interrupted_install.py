"""Installing that is killed: whole or absent, and the next attempt succeeds."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys

from archive_parts import published
from edge_seg.models.package import verify_artifacts
from edge_seg.models.store import ModelStore
from edge_seg.offline.archives.installing import install
from edge_seg.offline.archives.packaging import package_model

SCRIPT = Path(__file__).with_name('install_processes.py')
MODELS = [Path(__file__).resolve().parents[2] / 'models']  # where publish_processes.py is


def test_killed_at_any_step_a_model_is_whole_or_absent(tmp_path: Path) -> None:
    archive = package_model(published(tmp_path).resolve('road'), tmp_path / 'road.tar.gz').path
    done = subprocess.run(
        [sys.executable, SCRIPT, archive, tmp_path / 'stores'],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join([*map(str, MODELS), *sys.path])},
    )
    results = json.loads(done.stdout)
    assert results[-1].get('exit') == 0
    assert len(results) > 15
    for result in results[:-1]:
        assert result['signal'] == signal.SIGKILL
        store = ModelStore(Path(result['store']))
        for entry in store.entries():
            assert entry.package is not None, entry.reason
            verify_artifacts(entry.package)
        assert all(leftover.abandoned for leftover in store.leftovers())
    # The latest death before the rename, and one well before it.
    for result in (results[-2], results[len(results) // 2]):
        store = ModelStore(Path(result['store']))
        verify_artifacts(install(archive, store).package)
        store.prune(keep=1)
        assert store.leftovers() == ()
        assert [entry.identity for entry in store.entries()] == ['road@1']
