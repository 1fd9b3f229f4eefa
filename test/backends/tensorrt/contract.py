"""What NVIDIA's real binding wheels have, per version: read from data/, never from the code."""

from functools import cache, lru_cache
import json
import os
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / 'data'


@lru_cache(maxsize=1)
def _documents() -> tuple[dict[str, Any], dict[str, Any]]:
    observed = json.loads((DATA / 'tensorrt_contract.json').read_text('utf-8'))
    more = json.loads((DATA / 'tensorrt_contract_more.json').read_text('utf-8'))
    return observed, more


MODULE_MEMBERS: tuple[str, ...] = ('__version__', *_documents()[1]['functions'])
"""In every version."""
VERSIONS: tuple[str, ...] = tuple(_documents()[0]['versions'])
UNDER_TEST = tuple(os.environ.get('EDGE_SEG_FAKE_TENSORRT', ' '.join(VERSIONS)).split())
"""Versions that tests run on: all, or those that the environment names (to measure coverage)."""
USUAL = '10.3.0' if '10.3.0' in UNDER_TEST else UNDER_TEST[0]
SUPPORTED = tuple(version for version in VERSIONS if not version.startswith('8.'))


@cache
def members(version: str) -> dict[str, dict[str, Any]]:
    """Classes of a version, each with its members: kind ('method', 'ro', 'rw') or enum value."""
    classes: dict[str, dict[str, Any]] = {}
    for document in _documents():
        for name, described in document['classes'].items():
            if version in described['present']:
                classes[name] = {
                    member: kinds[version]
                    for member, kinds in described['members'].items()
                    if version in kinds
                }
    return classes


def exists(version: str, dotted: str) -> bool:
    """Whether a version has 'Class' or 'Class.member'."""
    name, _, member = dotted.partition('.')
    classes = members(version)
    return name in classes and (not member or member in classes[name])


def cuda_members(layer: str) -> dict[str, list[str]]:
    """Names that a CUDA layer has, as found in its sources: '' is the module itself."""
    document = json.loads((DATA / 'cuda_contract.json').read_text('utf-8'))
    found: dict[str, list[str]] = document[layer]
    return found
