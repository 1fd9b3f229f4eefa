"""config/segment.yaml: every parameter, with its default and what the tables say of it."""

from pathlib import Path
import re
from typing import NamedTuple

from edge_seg.runtime.managing.manager_parameters import MANAGER_PARAMETERS
from edge_seg.runtime.parameters.parameter_table import (
    CAMERA_PARAMETERS,
    ParameterSpec,
    SEGMENTATION_PARAMETERS,
)
import pytest
import yaml

FILE = Path(__file__).resolve().parents[2] / 'config' / 'segment.yaml'
TABLES = {
    '/**/segmentation': SEGMENTATION_PARAMETERS,
    '/**/camera': CAMERA_PARAMETERS,
    '/**/lifecycle_manager': MANAGER_PARAMETERS,
}
ENTRIES = [
    pytest.param(node, spec, id=f'{node.rpartition("/")[2]}.{spec.name}')
    for node, table in TABLES.items()
    for spec in table
]


class Entry(NamedTuple):
    """A parameter of the file with the comment above it, joined to one line."""

    node: str
    name: str
    comment: str


def entries() -> list[Entry]:
    found: list[Entry] = []
    node, comment = '', []
    for line in FILE.read_text(encoding='utf-8').splitlines():
        text = line.strip()
        if text.startswith('#'):
            comment.append(text.lstrip('# '))
            continue
        if match := re.fullmatch(r'(/\S+):', line):
            node = match[1]
        elif match := re.match(r'    (\w+): ', line):
            found.append(Entry(node, match[1], ' '.join(comment)))
        comment = []
    return found


def described(spec: ParameterSpec) -> str:
    notes = [spec.constraints] if spec.constraints else []
    if spec.live:
        notes.append('may change while running')
    return f'{spec.description} ({"; ".join(notes)}).' if notes else f'{spec.description}.'


@pytest.mark.parametrize(
    'document', ['README.md', 'docs/changing-models.md', 'docs/topics-and-parameters.md']
)
def test_documents_say_of_the_parameter_model_what_its_description_says(document: str) -> None:
    model = next(spec for spec in SEGMENTATION_PARAMETERS if spec.name == 'model')
    words = model.description.rpartition('; ')[2]
    text = (FILE.parents[1] / document).read_text(encoding='utf-8')

    assert words == 'says what serves, and while a load is under way what was asked for'
    assert words in ' '.join(text.split()).replace('Says', 'says')


def test_the_file_lists_each_parameter_of_each_node_once_in_the_order_of_its_table() -> None:
    assert [(entry.node, entry.name) for entry in entries()] == [
        (node, spec.name) for node, table in TABLES.items() for spec in table
    ]


@pytest.mark.parametrize(('node', 'spec'), ENTRIES)
def test_the_value_is_the_default_in_its_own_type(node: str, spec: ParameterSpec) -> None:
    document = yaml.safe_load(FILE.read_text(encoding='utf-8'))

    value = document[node]['ros__parameters'][spec.name]

    assert spec.validated(value) == spec.default
    assert type(value) is (list if spec.type == 'string_array' else type(spec.default))


@pytest.mark.parametrize(('node', 'spec'), ENTRIES)
def test_the_comment_says_what_the_table_says(node: str, spec: ParameterSpec) -> None:
    comments = {(entry.node, entry.name): entry.comment for entry in entries()}

    assert comments[node, spec.name] == described(spec)
