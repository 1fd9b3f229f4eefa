"""From a file or a PyTorch factory to a model in the store, with what had to be assumed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_seg.core.values import ArtifactFormat, ModelSpec
from edge_seg.models.labels import check_label
from edge_seg.models.layered import LayeredStore
from edge_seg.models.manifest import Artifact, ArtifactFile, Manifest, Provenance
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.onnx_weights import weight_files
from edge_seg.models.package import ModelPackage, Progress
from edge_seg.models.publication import Submission
from edge_seg.models.signature import ed25519_signature, encoded
from edge_seg.offline.imports.answers import converted, one_of, Question, to_size
from edge_seg.offline.imports.assumptions import Assumption, GIVEN, Proposer
from edge_seg.offline.imports.checking import check_against_original, Trial, try_model
from edge_seg.offline.imports.draft import draft
from edge_seg.offline.imports.given import GivenOptions
from edge_seg.offline.imports.hints import propose
from edge_seg.offline.imports.naming import default_name, model_name, next_version
from edge_seg.offline.imports.network import Wish
from edge_seg.offline.imports.reading import read_network, ReadNetwork

NO_LICENCE = 'unspecified'

OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is to be imported, and what is known of it.

    Attributes:
        source: a .onnx, .xml, .tflite, .pt2 or .pt file, or 'module:factory'.
        options: what describes the network.
        name: in the store; '' = made of the source's name.
        version: '' = the one after the highest.
        licence: '' = unspecified.
        description: free text.
        provenance: names and values.
        key: private key to sign with, or None.
        label: label that shall mean the new version, '' for none.
    """

    source: str
    options: GivenOptions = field(default=GivenOptions())
    name: str = ''
    version: str = ''
    licence: str = ''
    description: str = ''
    provenance: tuple[tuple[str, str], ...] = ()
    key: Path | None = None
    label: str = ''


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """A model that was imported, or would be.

    Attributes:
        spec: what is declared of it.
        format: of the file that is published.
        size: of the published files, in bytes.
        answers: each thing declared, and where it comes from.
        changes: what was changed of the network, in words.
        trial: what trying it came to.
        package: where it was published; None when it was not.
    """

    spec: ModelSpec
    format: ArtifactFormat
    size: int
    answers: tuple[Assumption, ...]
    changes: tuple[str, ...]
    trial: Trial
    package: ModelPackage | None


def import_model(
    request: ImportRequest,
    stores: LayeredStore,
    *,
    publish: bool = True,
    on_step: OnStep = lambda step: None,
    progress: Progress | None = None,
) -> ImportedModel:
    """Read, complete, try and publish a network; whole or not at all.

    Args:
        request: what, and what is known of it.
        stores: published into the first; all are asked which versions there are.
        publish: False does everything but publishing.
        on_step: told what begins, in words.
        progress: told bytes done and in all while publishing.

    Raises:
        OptionInvalid: something has to be said, or was said wrongly.
        UnsupportedNetwork: it cannot be served; says why.
        CompileFailed, IncompatibleModel, InferenceFailed: the file is damaged, cannot run, or is
            not what is declared.
        BackendUnavailable: a package that reads the file is missing.
        ManifestInvalid: values contradict each other.
        StoreError: the version is there already, the label is none, or the store cannot be
            written to.
    """
    if request.label:
        check_label(request.label)  # afterwards the model would be there, without it
    name = model_name(request.name) if request.name else default_name(request.source)
    version = request.version or next_version(stores, name)
    with TemporaryDirectory(prefix='edge_seg_import_') as folder:
        on_step(f'reading {request.source}')
        read = read_network(request.source, Path(folder), name, _wish(request.options))
        facts = read.facts
        interview = Proposer()
        hints = propose(facts, request.options, request.source)
        known = replace(request.options, output_name=None, input_name=None, input_dtype=None)
        parts = draft([facts.input], [facts.output], known, interview, hints)
        interview.close()
        assert parts is not None  # close() raises when an answer is missing
        spec = ModelSpec(name, version, parts.input, parts.output, parts.classes)
        manifest = _manifest(request, spec, read)
        text = dump_manifest(manifest)
        on_step('trying it')
        trial = _tried(read, spec)
        package = None
        if publish:
            on_step('publishing')
            package = _publish(request, stores, Path(folder), text, progress)
        return ImportedModel(
            spec=spec,
            format=facts.format,
            size=sum(file.size or 0 for file in manifest.files()),
            answers=(*interview.answers, _licence(request)),
            changes=facts.changes,
            trial=trial,
            package=package,
        )


def _wish(options: GivenOptions) -> Wish:
    size, layout = options.input_size, options.input_layout
    if layout is not None:
        converted(Question('--input-layout', '', one_of(['NCHW', 'NHWC'])), layout)
    return Wish(
        size=None if size is None else converted(Question('--input-size', '', to_size), size),
        layout='NHWC' if layout == 'NHWC' else 'NCHW' if layout == 'NCHW' else None,
        output=options.output_name,
    )


def _tried(read: ReadNetwork, spec: ModelSpec) -> Trial:
    trial = try_model(read.facts.file, spec)
    checks = trial.checks
    if read.facts.format is ArtifactFormat.ONNX:
        checks = ('is valid ONNX', *checks)
    if read.sample is not None:
        equal = check_against_original(read.facts.file, read.sample, read.facts.output.name)
        checks = (*checks, equal)
    return replace(trial, checks=checks)


def _manifest(request: ImportRequest, spec: ModelSpec, read: ReadNetwork) -> Manifest:
    facts = read.facts
    names = [facts.file.name]
    if facts.format is ArtifactFormat.ONNX:
        names += weight_files(facts.file)
    else:
        names.append(facts.file.with_suffix('.bin').name)
    files = tuple(_described(facts.file.parent, name) for name in names)
    fields = {'imported_from': Path(request.source).name}
    if read.source_sha256:
        fields['source_sha256'] = read.source_sha256
    fields['added'] = datetime.now(timezone.utc).strftime('%Y-%m-%d')
    if facts.changes:
        fields['changes'] = '; '.join(facts.changes)
    fields.update(request.provenance)
    return Manifest(
        spec=spec,
        artifacts=(Artifact(facts.format, files),),
        licence=request.licence or NO_LICENCE,
        description=request.description,
        provenance=Provenance(tuple(fields.items())),
    )


def _described(folder: Path, name: str) -> ArtifactFile:
    digest = hashlib.sha256()
    with (folder / name).open('rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return ArtifactFile(name, digest.hexdigest(), (folder / name).stat().st_size)


def _publish(
    request: ImportRequest,
    stores: LayeredStore,
    folder: Path,
    manifest: bytes,
    progress: Progress | None,
) -> ModelPackage:
    signature = None
    if request.key is not None:
        signature = encoded(ed25519_signature(manifest, request.key))
    submission = Submission(manifest, folder, {}, signature)
    package = stores.own.publish(submission, progress=progress)
    spec = package.manifest.spec
    if request.label:
        stores.own.set_label(spec.name, request.label, spec.version)
    return package


def _licence(request: ImportRequest) -> Assumption:
    if request.licence:
        return Assumption('--licence', request.licence, GIVEN, assumed=False)
    return Assumption('--licence', NO_LICENCE, 'no file says it', assumed=True)
