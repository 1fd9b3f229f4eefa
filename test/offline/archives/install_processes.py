"""Installs an archive in processes of its own, each killed a step later; started by the tests.

Arguments: the archive, an empty folder to work in. Prints JSON.
"""

from functools import partial
import json
from pathlib import Path
import sys

from edge_seg.offline.archives.installing import install
from publish_processes import killed_at_each_step

if __name__ == '__main__':
    archive, root = map(Path, sys.argv[1:])
    print(json.dumps(killed_at_each_step(partial(install, archive), root)))
