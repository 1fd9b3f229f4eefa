"""Shared files are found from the source tree and from every place a package is installed to."""

import importlib.util
from pathlib import Path
import shutil

from edge_seg.errors import StoreError
from edge_seg.models import share
import pytest


def test_the_schema_is_found() -> None:
    assert share.share_path('config', 'manifest.schema.json').is_file()


def test_what_is_not_installed_is_said_with_the_places() -> None:
    with pytest.raises(StoreError, match='config/none.yaml of edge_seg is not installed'):
        share.share_path('config', 'none.yaml')


@pytest.mark.parametrize(
    ('package', 'shared'),
    [
        ('ws/src/edge_seg/edge_seg', 'ws/src/edge_seg'),
        ('ws/install/edge_seg/lib/python3.12/site-packages/edge_seg',
         'ws/install/edge_seg/share/edge_seg'),
        ('ws/install/lib/python3.12/site-packages/edge_seg', 'ws/install/share/edge_seg'),
        ('venv/lib/python3.11/site-packages/edge_seg', 'venv/share/edge_seg'),
        ('usr/local/lib/python3.10/dist-packages/edge_seg', 'usr/local/share/edge_seg'),
        ('opt/ros/lib/python3.12/site-packages/edge_seg', 'opt/ros/share/edge_seg'),
    ],
)  # fmt: skip
def test_each_way_of_installing_is_known(tmp_path: Path, package: str, shared: str) -> None:
    models = tmp_path / package / 'models'
    models.mkdir(parents=True)
    shutil.copy(share.__file__, models / 'share.py')
    wanted = tmp_path / shared / 'config' / 'file'
    wanted.parent.mkdir(parents=True)
    wanted.write_text('x')
    if 'src' in package:
        (tmp_path / shared / 'package.xml').write_text('<package/>')
    spec = importlib.util.spec_from_file_location('installed_share', models / 'share.py')
    assert spec is not None
    assert spec.loader is not None
    installed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(installed)
    assert installed.share_path('config', 'file') == wanted.resolve()


def test_a_package_reached_by_a_link_is_found_in_its_source_tree(tmp_path: Path) -> None:
    source = tmp_path / 'src' / 'edge_seg'
    (source / 'edge_seg' / 'models').mkdir(parents=True)
    (source / 'package.xml').write_text('<package/>')
    (source / 'config').mkdir()
    shutil.copy(share.__file__, source / 'edge_seg' / 'models' / 'share.py')
    (tmp_path / 'build').mkdir()
    (tmp_path / 'build' / 'edge_seg').symlink_to(source / 'edge_seg')
    linked = tmp_path / 'build' / 'edge_seg' / 'models' / 'share.py'
    spec = importlib.util.spec_from_file_location('linked_share', linked)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.share_path('config') == source / 'config'
