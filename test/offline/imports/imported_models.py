"""What a published import computes, and what its tiny original must compute."""

from collections.abc import Callable
from dataclasses import dataclass
import json
from typing import Any

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import create
from edge_seg.core.values import AnyArray
from edge_seg.models.package import ModelPackage
from edge_seg.offline.imports.importing import ImportedModel
import numpy as np
from tiny_models import TinyModel

Import = Callable[..., ImportedModel]


def package_of(imported: ImportedModel) -> ModelPackage:
    """Give what was published."""
    assert imported.package is not None
    return imported.package


def options_for(model: TinyModel) -> dict[str, Any]:
    """Give the options that say what no file does."""
    spec = model.spec.input
    groups = [','.join(str(value) for value in values) for values in (spec.mean, spec.std)]
    known: dict[str, Any] = {
        'classes': ','.join(info.name for info in model.spec.classes),
        'normalise': f'{groups[0]}/{groups[1]}/{spec.scale}',
        'color_order': spec.color_order,
    }
    if spec.dtype == 'uint8':
        del known['normalise']
    return known


def answer_of(package: ModelPackage, pixels: AnyArray) -> AnyArray:
    """Run a published model on raw pixels, with OpenVINO."""
    spec = package.manifest.spec
    artifact = package.path / package.manifest.artifacts[0].main.path
    compiled = create('openvino').compile_model(artifact, spec, CompileOptions(precision='fp32'))
    try:
        return np.array(compiled.infer([np.ascontiguousarray(pixels)])[0])
    finally:
        compiled.close()


def assert_computes(imported: ImportedModel, model: TinyModel, atol: float = 1e-4) -> None:
    """Compare a published model with its original, batch axes aside."""
    pixels = model.pixels()
    answer = answer_of(package_of(imported), pixels).squeeze()
    np.testing.assert_allclose(answer, model.expected(pixels).squeeze(), rtol=0, atol=atol)


@dataclass(frozen=True)
class Said:
    """What an import said of one option."""

    value: str
    assumed: bool


def said(imported: ImportedModel) -> dict[str, Said]:
    """Give the answers by option."""
    return {answer.option: Said(answer.value, answer.assumed) for answer in imported.answers}


def document_of(text: str) -> dict[str, Any]:
    """Read what --json printed."""
    document: dict[str, Any] = json.loads(text)
    return document
