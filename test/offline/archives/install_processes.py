"""Installs an archive in processes of its own, each killed a step later; started by the tests.

Arguments: the archive, an empty folder to work in. Prints JSON.
"""

from functools import partial
import json
import os
from pathlib import Path
import sys
from typing import Any

from edge_seg.models.store import ModelStore
from edge_seg.offline.archives.installing import install
from publish_processes import in_child, killed_at


def killed(archive: Path, root: Path) -> list[dict[str, Any]]:
    """Install into a new store for each step until one process gets through."""
    results: list[dict[str, Any]] = []
    for step in range(300):
        store = ModelStore(root / str(step))
        pid = in_child(partial(killed_at, step, partial(install, archive, store)))
        _, status = os.waitpid(pid, 0)
        results.append({'store': str(store.root), 'signal': os.WTERMSIG(status)})
        if os.WIFEXITED(status):
            results[-1]['exit'] = os.WEXITSTATUS(status)
            break
    return results


if __name__ == '__main__':
    print(json.dumps(killed(Path(sys.argv[1]), Path(sys.argv[2]))))
