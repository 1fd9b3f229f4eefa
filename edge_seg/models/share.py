"""Where the files that are installed beside the package lie: schema, parameters, demo model."""

from pathlib import Path
import sys

from edge_seg.errors import StoreError

PACKAGE_DIR = Path(__file__).resolve().parent.parent
"""Folder of the package; resolved, as --symlink-install reaches the source tree by a link."""


def share_path(*parts: str) -> Path:
    """Return the path of a shared file or folder, e.g. ``share_path('config', 'segment.yaml')``.

    The source tree comes first when the package runs from it, then ``share/edge_seg`` under
    each folder above the package (colcon, pip, Debian prefixes), then under ``sys.prefix``.

    Raises:
        StoreError: it is in none of these places.
    """
    roots = _roots(PACKAGE_DIR)
    for root in roots:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    wanted = Path(*parts)
    raise StoreError(
        f'{wanted} of edge_seg is not installed (looked in {", ".join(map(str, roots))})',
        remedy='build the package again with colcon build or pip install',
    )


def _roots(package_dir: Path) -> list[Path]:
    name = package_dir.name
    source_tree = package_dir.parent
    if (source_tree / 'package.xml').is_file():
        return [source_tree]
    above = list(package_dir.parents)[:6]
    candidates = [folder / 'share' / name for folder in [*above, Path(sys.prefix)]]
    existing = [folder for folder in candidates if folder.is_dir()]
    return existing or candidates[-1:]
