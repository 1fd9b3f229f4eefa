"""docs/tensorrt.md names errors by their text: each must be one that the code really prints."""

import ast
from collections.abc import Iterator
from pathlib import Path
import re

from edge_seg.runtime.parameters.parameter_table import SEGMENTATION_PARAMETERS

ROOT = Path(__file__).parents[3]
MANUAL = ROOT / 'docs' / 'tensorrt.md'
PACKAGE = ROOT / 'edge_seg'
# What stands in a message without being ours: names, numbers, and the words of the system.
FOREIGN = re.compile(
    r'…|\bfp\d+|\d[\d.]*|\bexpected\b|[(){}"\'`:;]|libcuda\.so|libnvinfer\.so|ImportError|signal'
    r"|infer_shapes error code|\b(?:tensorrt|pycuda|openvino|json|GPU Orin)\b|\bb'"
)


def table(heading: str) -> str:
    text = MANUAL.read_text('utf-8')
    return text.split(f'## {heading}')[1].split('\n## ')[0]


def quoted_texts() -> list[str]:
    rows = re.findall(r'^\| (`.*?) \| ', table('Troubleshooting by error text'), re.MULTILINE)
    return [text for row in rows for text in re.findall(r'`([^`]+)`', row)]


def texts_of_the_code() -> Iterator[str]:
    for path in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_error_of_the_troubleshooting_table_is_one_of_the_code() -> None:
    printed = '\n'.join(texts_of_the_code())
    pieces = {
        piece.strip(' ,-')
        for text in quoted_texts()
        for piece in FOREIGN.split(text)
        if len(piece.strip(' ,-')) > 3
    }
    assert len(pieces) > 40
    assert sorted(piece for piece in pieces if piece not in printed) == []


def test_every_parameter_of_tensorrt_is_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r'^\| `([a-z_]+)` \| (.*?) \|', table('Options'), re.MULTILINE))
    ours = {
        spec.name: spec.default
        for spec in SEGMENTATION_PARAMETERS
        if spec.name.startswith('tensorrt_') or spec.name in rows
    }
    assert len(ours) >= 7
    assert set(rows) == set(ours)
    for name, default in ours.items():
        assert str(default).lower() in rows[name], name
