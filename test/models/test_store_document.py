"""The manifest in docs/model-store.md is one that is accepted."""

from pathlib import Path
import re

from edge_seg.errors import ManifestInvalid
from edge_seg.models.manifest import parse_manifest
import pytest

DOCUMENT = Path(__file__).resolve().parents[2] / 'docs' / 'model-store.md'


def example() -> str:
    found = re.search(r'```yaml\n(.*?)```', DOCUMENT.read_text('utf-8'), re.DOTALL)
    assert found is not None
    # The digests are shortened for the reader.
    return re.sub(r'([0-9a-f]{4})…', lambda match: match[1] * 16, found[1])


def test_the_documented_manifest_is_right_but_for_the_field_of_another_kind() -> None:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(example().encode(), file='model-store.md')
    assert caught.value.field == 'output.ignore_id'
    text = re.sub(r'(?m)^  ignore_id.*\n', '', example())
    manifest = parse_manifest(text.encode(), file='model-store.md')
    assert manifest.reference == 'floor@2'
    assert manifest.golden is not None
