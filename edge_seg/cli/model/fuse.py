"""``edge_seg model fuse``: publishes a version of a model that takes pixels and gives masks."""

from contextlib import ExitStack
from dataclasses import replace
import hashlib
from pathlib import Path
import shutil
from tempfile import TemporaryDirectory

import click
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import choose
from edge_seg.cli.view import json_option, show_json, stores_option
from edge_seg.core.geometry import plan_geometry
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import (
    ArtifactFormat,
    DecodedImage,
    LabelArray,
    ModelSpec,
    OutputKind,
    OutputSpec,
)
from edge_seg.errors import IncompatibleModel
from edge_seg.models.fusing import decision_threshold, SCORES
from edge_seg.models.fusing import fuse as fuse_file
from edge_seg.models.layered import LayeredStore
from edge_seg.models.manifest import Artifact, ArtifactFile, MANIFEST_NAME
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.package import ModelPackage, open_package, verify_artifacts
from edge_seg.models.reference import is_version
from edge_seg.runtime.frames.stopwatch import Stopwatch
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
FILE = 'fused.onnx'
COMPARED_ON = 'openvino'
"""Runs both as they are; TensorRT would have to build each for minutes."""
TIES = {'float16': 1e-2}
TIE = 1e-3
"""Classes whose scores are closer than this share of the range of all scores may fall either way:
so far the two ways to normalise round differently. By the type of the input, where it matters."""
MIN_AGREEMENT = 0.999
"""Share of equal pixels for a network that gives classes, where nobody knows what tied."""


@click.command()
@click.argument('model')
@click.option('--as', 'version', required=True, help='Version to publish the fused model as.')
@click.option(
    '--keep-scores', is_flag=True, help='Fuse the input only: masks keep their confidence.'
)
@stores_option
@json_option
def fuse(model: str, version: str, keep_scores: bool, stores: LayeredStore, as_json: bool) -> None:
    """Put uint8 input, normalisation and argmax into the graph of MODEL.

    The new version takes camera pixels as they are and gives class ids, the same as before; both
    OpenVINO and TensorRT run it.
    """
    if not is_version(version):
        raise click.BadParameter(f'{version!r} is neither an integer nor MAJOR.MINOR.PATCH')
    package = stores.resolve(model)
    verify_artifacts(package)
    source = package.artifact_for([ArtifactFormat.ONNX])
    with TemporaryDirectory() as name:
        folder = Path(name)
        spec = fuse_file(source, folder / FILE, package.manifest.spec, keep_scores=keep_scores)
        _write_manifest(package, replace(spec, version=version), folder)
        agreement = _agreement(stores, package, open_package(folder))
        if agreement < 1.0 and not _only_ties(package, open_package(folder), agreement):
            raise IncompatibleModel(
                f'the fused model gives the same class on {agreement:.2%} of the pixels, and the '
                'others did not tie',
                expected='the same classes; it is not published',
                remedy='the manifest may declare another normalisation or output than is true',
            )
        published = stores.own.publish(folder)
    if as_json:
        show_json({'model': published.identity, 'agreement': agreement})
        return
    click.echo(f'{published.identity} is published; {agreement:.2%} of its pixels are the same')


def _write_manifest(package: ModelPackage, spec: ModelSpec, folder: Path) -> None:
    """Describe the fused file as the original is described, and bring its golden sample along."""
    content = (folder / FILE).read_bytes()
    file = ArtifactFile(FILE, hashlib.sha256(content).hexdigest(), len(content))
    original = package.manifest
    fields = (*original.provenance.fields, ('fused_from', package.identity))
    manifest = replace(
        original,
        spec=spec,
        artifacts=(Artifact(ArtifactFormat.ONNX, (file,)),),
        provenance=replace(original.provenance, fields=fields),
    )
    (folder / MANIFEST_NAME).write_bytes(dump_manifest(manifest))
    if manifest.golden is not None:
        for sample in (manifest.golden.image, manifest.golden.labels):
            target = folder / sample.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package.path_of(sample), target)


def _agreement(stores: LayeredStore, original: ModelPackage, fused: ModelPackage) -> float:
    """Give the share of pixels on which two models agree, over pictures of noise and slopes."""
    options = CandidateOptions(COMPARED_ON, CompileOptions(precision='fp32'), warmup_runs=1)
    factory = CandidateFactory(stores, options)
    masks: list[list[LabelArray]] = []
    for package in (original, fused):
        prepared = factory.prepare(package, on_stage=lambda stage: None)
        loaded = factory.bring_up(prepared, camera=None, on_stage=lambda stage: None)
        with ExitStack() as close:
            close.callback(loaded.model.close)
            masks.append(
                [
                    loaded.model.segment(image, confidence=False, watch=Stopwatch()).labels
                    for image in _pictures(package)
                ]
            )
    before, after = masks
    return float(np.mean(np.stack(before) == np.stack(after)))


def _only_ties(original: ModelPackage, fused: ModelPackage, agreement: float) -> bool:
    """Whether each class that the fused model gives has the winner's score, but for rounding.

    The scores are those of the original, at every pixel of the network.
    """
    spec = original.manifest.spec
    if spec.output.kind is OutputKind.LABELS:
        return agreement >= MIN_AGREEMENT
    limit = TIES.get(spec.input.dtype, TIE)
    for scores, taken in zip(_by_class(original), _by_class(fused), strict=True):
        chosen = taken[0].astype(np.intp) if len(taken) == 1 else taken.argmax(0)
        lost = scores.max(0) - np.take_along_axis(scores, chosen[None], 0)[0]
        if lost.max() > limit * np.ptp(scores):
            return False
    return True


def _by_class(package: ModelPackage) -> list[FloatArray]:
    """Give what a network says of each picture: a row for each class, or one row of class ids."""
    spec = package.manifest.spec
    backend = choose(COMPARED_ON, [ArtifactFormat.ONNX]).backend
    artifact = package.artifact_for([ArtifactFormat.ONNX])
    compiled = backend.compile_model(artifact, spec, CompileOptions(precision='fp32'))
    with ExitStack() as close:
        close.callback(compiled.close)
        preprocess = Preprocessor(spec.input, compiled.inputs[0])
        plan = plan_geometry(spec.input.size, spec.input.size, spec.input.resize)
        raw = [compiled.infer([preprocess(each, plan)])[0].copy() for each in _pictures(package)]
    return [_rows(output.astype(np.float32), spec.output) for output in raw]


def _rows(output: FloatArray, spec: OutputSpec) -> FloatArray:
    if spec.kind is OutputKind.LABELS:
        return output.reshape(1, -1)
    if spec.kind not in SCORES:  # one channel: class 1 from the threshold on
        flat = output.ravel()
        return np.stack([np.full_like(flat, decision_threshold(spec)), flat])
    if spec.layout == 'NHWC':
        return output.reshape(-1, output.shape[-1]).T
    return output.reshape(output.shape[1], -1)


def _pictures(package: ModelPackage) -> list[DecodedImage]:
    size = package.manifest.spec.input.size
    noise = np.random.default_rng(0).integers(0, 256, (size.height, size.width, 3), np.uint8)
    slope = np.linspace(0, 255, size.height * size.width * 3).reshape(noise.shape)
    return [DecodedImage(noise, 'rgb'), DecodedImage(slope.astype(np.uint8), 'rgb')]
