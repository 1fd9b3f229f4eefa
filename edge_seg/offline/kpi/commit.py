"""Which commit of the source tree runs, when it runs from one."""

from functools import lru_cache
from pathlib import Path
import subprocess

from edge_seg.models.share import PACKAGE_DIR

GIT_TIMEOUT_S = 10.0


@lru_cache(maxsize=1)
def source_commit() -> str:
    """Name the commit, with '+' when files differ from it; '' for an installed package."""
    tree = PACKAGE_DIR.parent
    if not (tree / 'package.xml').is_file():
        return ''
    try:
        head = _git(tree, 'rev-parse', '--short=12', 'HEAD')
        changed = _git(tree, 'status', '--porcelain', '--untracked-files=no')
    except (OSError, subprocess.SubprocessError):
        return ''
    return f'{head}+' if changed else head


def _git(tree: Path, *words: str) -> str:
    done = subprocess.run(
        ['git', '-C', str(tree), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=GIT_TIMEOUT_S,
    )
    return done.stdout.strip()
