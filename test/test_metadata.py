"""What package.xml, setup.py, the requirements and the tree say is the same."""

import ast
from pathlib import Path
import runpy
import sys
from typing import Any
from xml.etree import ElementTree

import edge_seg
import pytest
import setuptools

ROOT = Path(__file__).resolve().parent.parent

# Import name -> rosdep key, where they differ.
KEYS = {
    'click': 'python3-click',
    'cryptography': 'python3-cryptography',
    'cv2': 'python3-opencv',
    'jsonschema': 'python3-jsonschema',
    'numpy': 'python3-numpy',
    'psutil': 'python3-psutil',
    'rich': 'python3-rich',
    'yaml': 'python3-yaml',
}
# Import name -> extra in setup.py: there is no rosdep key, or no robot needs it.
EXTRAS = {
    'cuda': 'cuda-python',
    'fsspec': 'fsspec',
    'google': 'onnx',  # protobuf
    'jinja2': 'reports',
    'matplotlib': 'reports',
    'mlflow': 'mlflow',
    'nncf': 'quantise',
    'onnx': 'onnx',
    'onnxruntime': 'quantise',
    'openvino': 'openvino',
    'pycuda': 'tensorrt',
    'rosbags': 'bag',
    'tensorrt': 'tensorrt',
    'torch': 'pytorch',
    'zstandard': 'zstd',
}
# Import name -> the listed package that brings it.
COMES_WITH = {'builtin_interfaces': 'std_msgs'}


@pytest.fixture(scope='module')
def setup() -> dict[str, Any]:
    """Give what setup.py passes to setuptools."""
    passed: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, 'setup', lambda **arguments: passed.update(arguments))
        runpy.run_path('setup.py')
    return passed


@pytest.fixture(scope='module')
def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def text(manifest: ElementTree.Element, tag: str) -> str:
    found = manifest.find(tag)
    assert found is not None, f'package.xml has no <{tag}>'
    return (found.text or '').strip()


def third_party_imports() -> set[str]:
    names: set[str] = set()
    for path in (*ROOT.glob('edge_seg/**/*.py'), *ROOT.glob('launch/*.py')):
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, ast.Import):
                names.update(alias.name.split('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split('.')[0])
    return names - set(sys.stdlib_module_names) - {'edge_seg'}


def test_package_xml_and_setup_py_describe_the_same_package(
    setup: dict[str, Any], manifest: ElementTree.Element
) -> None:
    maintainer = manifest.find('maintainer')
    assert maintainer is not None
    assert text(manifest, 'name') == setup['name']
    assert text(manifest, 'version') == setup['version'] == edge_seg.__version__
    assert text(manifest, 'description') == setup['description']
    assert text(manifest, 'license') == setup['license']
    assert text(manifest, 'maintainer') == setup['maintainer']
    assert maintainer.get('email') == setup['maintainer_email']


def test_everything_imported_is_a_dependency(
    setup: dict[str, Any], manifest: ElementTree.Element
) -> None:
    listed = {depend.text for depend in manifest.findall('exec_depend')}
    unlisted = [
        name
        for name in sorted(third_party_imports())
        if KEYS.get(name, COMES_WITH.get(name, name)) not in listed
        and EXTRAS.get(name) not in setup['extras_require']
    ]
    assert unlisted == []


def test_every_executable_has_its_function(setup: dict[str, Any]) -> None:
    missing = []
    for entry in setup['entry_points']['console_scripts']:
        module, _, function = entry.split(' = ')[1].partition(':')
        path = ROOT / (module.replace('.', '/') + '.py')
        tree = ast.parse(path.read_text('utf-8')) if path.is_file() else ast.Module([], [])
        defined = {getattr(node, 'name', None) for node in tree.body}
        if function not in defined:
            missing.append(entry)
    assert missing == []


@pytest.mark.parametrize('folder', ['launch', 'config', 'models'])
def test_every_shared_file_is_installed_where_it_stands(
    setup: dict[str, Any], folder: str
) -> None:
    installed = {
        f'{target}/{Path(source).name}': source
        for target, sources in setup['data_files']
        for source in sources
    }
    tree = {
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob('*')
        if path.is_file() and not any(p.startswith(('.', '__')) for p in path.parts[-3:])
    }
    assert tree
    assert {f'share/edge_seg/{name}': name for name in tree}.items() <= installed.items()


def test_everything_but_code_in_the_package_is_installed(setup: dict[str, Any]) -> None:
    package = ROOT / 'edge_seg'
    installed = {
        path for pattern in setup['package_data']['edge_seg'] for path in package.glob(pattern)
    }
    beside_code = {
        path
        for path in package.rglob('*')
        if path.is_file() and path.suffix not in ('.py', '.pyc')
    }
    assert beside_code == installed


def test_tests_are_an_extra_because_colcon_runs_none_otherwise(setup: dict[str, Any]) -> None:
    assert 'pytest' in setup['extras_require']['test']
    assert 'tests_require' not in setup


@pytest.mark.parametrize('distro', ['kilted', 'jazzy'])
def test_every_requirement_is_pinned(distro: str) -> None:
    lines = (ROOT / f'requirements/{distro}.txt').read_text('utf-8').splitlines()
    pins = [line for line in lines if not line.startswith('#')]
    assert f'ros-{distro}-rclpy' in {pin.split('==')[0] for pin in pins}
    assert [pin for pin in pins if '==' not in pin.split(';')[0]] == []


def test_distros_share_every_pin_that_is_not_of_ros() -> None:
    kilted, jazzy = (
        {
            line
            for line in (ROOT / f'requirements/{distro}.txt').read_text('utf-8').splitlines()
            if not line.startswith('ros-')
        }
        for distro in ('kilted', 'jazzy')
    )
    assert kilted == jazzy


def test_changelog_is_one_that_catkin_tools_read() -> None:
    lines = (ROOT / 'CHANGELOG.rst').read_text('utf-8').splitlines()
    assert lines[1] == 'Changelog for package edge_seg'
    assert 'Forthcoming' in lines or any(line.startswith(edge_seg.__version__) for line in lines)
