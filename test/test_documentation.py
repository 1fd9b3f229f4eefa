"""README and docs/ say what is: links, commands, topics, parameters, reasons."""

import ast
from pathlib import Path
import re

from edge_seg.core.decode import SUPPORTED_ENCODINGS
from edge_seg.errors import DropReason, LoadStage
from edge_seg.runtime.frames.stats import Stage
from edge_seg.runtime.managing.manager_parameters import MANAGER_PARAMETERS
from edge_seg.runtime.parameters.camera_parameters import CAMERA_PARAMETERS
from edge_seg.runtime.parameters.parameter_table import SEGMENTATION_PARAMETERS
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')])
INTERFACE = ROOT / 'docs' / 'topics-and-parameters.md'
LAUNCH = ROOT / 'docs' / 'launch.md'
LINK = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)\)')
IMAGE_LIMIT_BYTES = 500_000


def anchors(page: Path) -> set[str]:
    """Give the anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r'^#+ (.+)$', page.read_text('utf-8'), flags=re.MULTILINE)
    plain = (re.sub(r'[^\w\- ]', '', heading.lower()) for heading in headings)
    return {heading.replace(' ', '-') for heading in plain}


def section(page: Path, heading: str) -> str:
    """Give the text below a heading, up to the next of its rank."""
    text = page.read_text('utf-8')
    marks = heading.split(' ')[0]
    found = re.search(
        rf'^{re.escape(heading)}$(.*?)(?=^{marks} |\Z)', text, flags=re.MULTILINE | re.DOTALL
    )
    assert found is not None, f'{page.name} has no {heading}'
    return found[1]


def first_cells(text: str) -> set[str]:
    """Give what stands in backquotes in the first column of the tables."""
    rows = re.findall(r'^\| (`.+?) \|', text, flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r'`([^`]+)`', row)}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target in LINK.findall(page.read_text('utf-8')):
        if '://' in target:
            continue
        path, _, anchor = target.partition('#')
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert dead == []


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / 'docs').glob('images/*')}
    assert {name: size for name, size in sizes.items() if size > IMAGE_LIMIT_BYTES} == {}


def test_commands_of_make_exist() -> None:
    targets = set(re.findall(r'^([a-z]+):', (ROOT / 'Makefile').read_text('utf-8'), re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r'^(?:\w+=\S+ )*make ([a-z]+)', page.read_text('utf-8'), re.M)
    }
    assert {'demo', 'test'} <= named <= targets


def test_parameters_that_may_change_while_running_are_listed() -> None:
    live = {spec.name for spec in SEGMENTATION_PARAMETERS if spec.live}
    assert first_cells(section(INTERFACE, '## Parameters')) == live


def test_parameters_of_the_readme_exist_with_these_defaults() -> None:
    defaults = {spec.name: spec.default for spec in SEGMENTATION_PARAMETERS}
    rows = re.findall(
        r'^\| (`[a-z_`, ]+) \| (?:`(\w+)`|off) \|',
        section(ROOT / 'README.md', '## Node interface'),
        flags=re.MULTILINE,
    )
    said = {name: value or '0.0' for row, value in rows for name in re.findall(r'\w+', row)}
    assert {'model', 'backend', 'lazy'} <= set(said)
    assert {name: str(defaults[name]).lower() for name in said} == said


def test_settings_shown_in_examples_exist() -> None:
    names = {
        spec.name
        for table in (SEGMENTATION_PARAMETERS, CAMERA_PARAMETERS, MANAGER_PARAMETERS)
        for spec in table
    }
    shown = {
        name
        for page in (ROOT / 'README.md', INTERFACE, LAUNCH)
        for name in re.findall(
            r'`([a-z_]+): (?:true|false|none|auto|exclusive|\d|\[)', page.read_text('utf-8')
        )
    }
    assert 'require_signature' in shown
    assert shown - names == {'bond_timeout'}  # of nav2's manager


def test_every_reason_for_a_dropped_frame_is_explained() -> None:
    explained = first_cells(section(INTERFACE, '## Input')) - {'drops.…'}
    assert explained == {reason.value for reason in DropReason}


def test_every_encoding_is_listed_in_order() -> None:
    listed = section(INTERFACE, '## Input').split('Encodings read')[1].split('Row padding')[0]
    assert tuple(re.findall(r'`(\w+)`', listed)) == SUPPORTED_ENCODINGS


def test_every_stage_of_a_frame_and_of_a_load_is_named() -> None:
    frame = re.search(r'stage \(([^)]*)\)', section(INTERFACE, '## `/diagnostics`'))
    load = re.search(r'during a load (.*?)\. \|', section(INTERFACE, '## `~/model_status`'))
    assert frame is not None
    assert load is not None
    assert re.findall(r'`(\w+)`', frame[1]) == [stage.value for stage in Stage]
    assert re.findall(r'`(\w+)`', load[1]) == [stage.value for stage in LoadStage]


def test_every_argument_of_the_launch_file_is_explained() -> None:
    module = ast.parse((ROOT / 'launch' / 'segment.launch.py').read_text('utf-8'))
    declared = {
        node.args[0].value
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and getattr(node.func, 'id', '') == '_argument'
        and isinstance(node.args[0], ast.Constant)
    }
    passed_on = next(
        ast.literal_eval(statement.value)
        for statement in module.body
        if isinstance(statement, ast.Assign)
        and getattr(statement.targets[0], 'id', '') == 'PASSED_ON'
    )
    table = LAUNCH.read_text('utf-8').split('\n## ')[0]
    assert first_cells(table) == declared | set(passed_on)


def test_topics_and_services_of_the_readme_are_those_of_the_interface_page() -> None:
    text = section(ROOT / 'README.md', '## Node interface')
    own = {name for name in first_cells(text) if name.startswith('~/')}
    explained = {
        *first_cells(section(INTERFACE, '## Output')),
        *first_cells(section(INTERFACE, '## Services')),
    }
    assert own == explained
