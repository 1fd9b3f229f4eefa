"""Kills publishers of models at random moments, and looks at the store."""

from dataclasses import replace
import hashlib
from pathlib import Path
import random
import shutil
import subprocess
import sys
import threading
import time

from edge_seg.cli.bench.part import Part
from edge_seg.cli.bench.result import BenchOptions, Target
from edge_seg.cli.bench.store import FIRST, NAME
from edge_seg.errors import ModelError
from edge_seg.models.manifest import ArtifactFile
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.package import verify_artifacts
from edge_seg.models.publication import publish, submission_from
from edge_seg.models.store import ModelStore
import numpy as np

WEIGHTS_BYTES = 48 << 20
"""Of the model that is published: large, so that there is something to be killed in."""
END_LIMIT_S = 30.0


def measure_publish_kills(good: Path, options: BenchOptions) -> Part:
    """Publish versions, kill most of the publishers, and check every entry of the store."""
    part = Part()
    folder = options.folder / 'publishing'
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / 'store'
    versions = iter(range(1, 1000))
    whole_s = _publish(_draft(folder, good, next(versions)), root, None)
    chance = random.Random(1)
    killed = 0
    trials = options.repeats(20, 5)
    for _ in range(trials):
        draft = _draft(folder, good, next(versions))
        killed += _publish(draft, root, chance.uniform(0.0, 1.1) * whole_s) == 0.0
        shutil.rmtree(draft)
    invalid = _invalid(root)
    last = _draft(folder, good, next(versions))
    publish(root, submission_from(last))  # raises when what was killed is in the way
    invalid += _invalid(root)
    store = ModelStore(root)
    part.targets['invalid_after_kill_in_publish'] = Target(len(invalid), 'entries', 0.0)
    part.targets['killed_in_publish'] = Target(killed, 'publishers', trials / 4, 'at least')
    part.figures['publish_kills'] = {
        'publishers_killed': killed,
        'versions_whole': len(store.entries()),
        'left_over': len(store.leftovers()),
        'invalid': invalid,
    }
    options.say(f'{killed} publishers killed, {len(invalid)} invalid entries in the store')
    shutil.rmtree(folder)
    return part


def _draft(folder: Path, good: Path, version: int) -> Path:
    """Make a large model to be published: a copy of the good one with more bytes."""
    package = ModelStore(good).resolve(FIRST)
    draft = folder / f'draft-{version}'
    draft.mkdir(parents=True)
    main = package.manifest.artifacts[0].main.path
    content = np.random.default_rng(version).bytes(WEIGHTS_BYTES)
    (draft / main).write_bytes(content)
    file = ArtifactFile(main, hashlib.sha256(content).hexdigest(), len(content))
    manifest = replace(
        package.manifest,
        spec=replace(package.manifest.spec, name=NAME, version=str(version)),
        artifacts=(replace(package.manifest.artifacts[0], files=(file,)),),
        golden=None,
    )
    (draft / 'manifest.yaml').write_bytes(dump_manifest(manifest))
    return draft


def _publish(draft: Path, root: Path, kill_after_s: float | None) -> float:
    """Publish in a process of its own; seconds it took, 0 when it was killed before its end."""
    with subprocess.Popen(
        [sys.executable, '-m', 'edge_seg.cli.bench.publisher', str(draft), str(root)],
        stdout=subprocess.PIPE,
    ) as child:
        if child.stdout is not None:
            child.stdout.readline()
        begin_s = time.monotonic()
        if kill_after_s is None:
            child.wait(END_LIMIT_S)
            return time.monotonic() - begin_s
        threading.Event().wait(kill_after_s)
        child.kill()
        code = child.wait(END_LIMIT_S)
    return 0.0 if code < 0 else kill_after_s


def _invalid(root: Path) -> list[str]:
    found = []
    for entry in ModelStore(root).entries():
        if entry.package is None:
            found.append(f'{entry.path.name}: {entry.reason}')
            continue
        try:
            verify_artifacts(entry.package)
        except ModelError as error:
            found.append(f'{entry.path.name}: {error}')
    return found
