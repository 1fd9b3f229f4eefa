"""Compiling, building ahead and importing with OpenVINO."""

from difflib import get_close_matches
import hashlib
import io
from pathlib import Path

from edge_seg.backends.base import CompileOptions, CompileReport
from edge_seg.backends.openvino import devices
from edge_seg.backends.openvino.compiled import OpenVinoModel
from edge_seg.backends.openvino.devices import core, readable, SDK_ERRORS
from edge_seg.backends.openvino.graph import fit, FittedGraph
from edge_seg.backends.openvino.prebuilt import (
    declared_digest,
    PrebuiltHeader,
    read_prebuilt,
    write_prebuilt,
)
from edge_seg.backends.openvino.properties import (
    check_precision,
    compile_properties,
    effective_precision,
    Properties,
)
from edge_seg.core.values import ModelSpec
from edge_seg.errors import CompileFailed, PrebuiltUnusable
import openvino as ov


def compile_file(artifact: Path, spec: ModelSpec, options: CompileOptions) -> OpenVinoModel:
    """Read, fit and compile a model file; errors as in ``OpenVinoBackend.compile_model``."""
    device = devices.resolve(options.device)
    graph = fit(artifact, spec, argmax=options.argmax_in_graph)
    compiled = compile_graph(graph, device, options, artifact.name)
    return OpenVinoModel(
        compiled,
        inputs=graph.inputs,
        outputs=graph.outputs,
        output_kind=graph.output_kind,
        report=_report(compiled, graph.fused, from_cache=_was_cached(compiled)),
    )


def build(
    artifact: Path, spec: ModelSpec, options: CompileOptions, out_path: Path
) -> CompileReport:
    """Compile into a file for ``load_prebuilt``; see ``OpenVinoBackend.build``."""
    device = devices.resolve(options.device)
    graph = fit(artifact, spec, argmax=options.argmax_in_graph)
    compiled = compile_graph(graph, device, _uncached(options), artifact.name)
    try:
        exported = compiled.export_model()
    except SDK_ERRORS as error:
        raise CompileFailed(
            f'{artifact.name} cannot be built ahead for {device}: {readable(error)}',
            remedy='let the serving process compile it',
        ) from error
    blob = exported.getvalue() if isinstance(exported, io.BytesIO) else bytes(exported)
    header = PrebuiltHeader(
        openvino=ov.get_version(),
        device=device,
        device_name=devices.full_name(device),
        declared=declared_digest(spec),
        options=_options_digest(device, options),
        output_kind=graph.output_kind,
        fused=graph.fused,
        inputs=graph.inputs,
        outputs=graph.outputs,
    )
    try:
        write_prebuilt(out_path, header, blob)
    except OSError as error:
        raise CompileFailed(f'{out_path} cannot be written: {error.strerror}') from error
    return _report(compiled, graph.fused, from_cache=False)


def load_prebuilt(artifact: Path, spec: ModelSpec, options: CompileOptions) -> OpenVinoModel:
    """Import what ``build`` wrote; errors as in ``OpenVinoBackend.compile_model``."""
    device = devices.resolve(options.device)
    header, blob = read_prebuilt(artifact)
    _check_header(header, device, spec, options, artifact.name)
    properties = compile_properties(device, _uncached(options))
    try:
        compiled = core().import_model(blob, device, properties)
    except SDK_ERRORS as error:
        raise PrebuiltUnusable(
            f'{artifact.name} cannot be imported: {readable(error)}', remedy='build it again'
        ) from error
    report = _report(compiled, header.fused, from_cache=True)
    check_precision(options.precision, report.precision, device)
    return OpenVinoModel(
        compiled,
        inputs=header.inputs,
        outputs=header.outputs,
        output_kind=header.output_kind,
        report=report,
    )


def compile_graph(
    graph: FittedGraph, device: str, options: CompileOptions, file: str
) -> ov.CompiledModel:
    """Compile a fitted graph for a resolved device.

    Raises:
        CompileFailed: it does not compile, or an option cannot be met.
    """
    properties = compile_properties(device, options)
    _check_extra(device, options)
    try:
        compiled = core().compile_model(graph.model, device, properties)
    except SDK_ERRORS as error:
        raise CompileFailed(f'{file} does not compile for {device}: {readable(error)}') from error
    check_precision(options.precision, effective_precision(compiled), device)
    return compiled


def _check_extra(device: str, options: CompileOptions) -> None:
    # AUTO, MULTI and HETERO swallow names that nobody knows; ask before compiling.
    if not options.extra:
        return
    known = devices.property_names(device.partition(':')[0])
    for name, _ in options.extra:
        if known and name not in known:
            near = get_close_matches(name.upper(), known, n=3, cutoff=0.4)
            raise CompileFailed(
                f"OpenVINO's {device} has no property '{name}'",
                expected=' or '.join(near) or 'the name of an OpenVINO property',
                remedy='correct the extra backend options',
            )


def _check_header(
    header: PrebuiltHeader, device: str, spec: ModelSpec, options: CompileOptions, file: str
) -> None:
    pairs = (
        ('OpenVINO', header.openvino, ov.get_version()),
        ('device', header.device, device),
        ('processor', header.device_name, devices.full_name(device)),
        ('input, output and classes', header.declared, declared_digest(spec)),
        ('options', header.options, _options_digest(device, options)),
    )
    for what, built, wanted in pairs:
        if built != wanted:
            raise PrebuiltUnusable(
                f'{file} was built for {what} {built}', expected=wanted, remedy='build it again'
            )


def _options_digest(device: str, options: CompileOptions) -> str:
    properties: Properties = compile_properties(device, _uncached(options))
    text = repr((sorted(properties.items(), key=lambda item: item[0]), options.argmax_in_graph))
    return hashlib.sha256(text.encode()).hexdigest()


def _uncached(options: CompileOptions) -> CompileOptions:
    return CompileOptions(
        device=options.device,
        threads=options.threads,
        pin_threads=options.pin_threads,
        precision=options.precision,
        device_precision=options.device_precision,
        argmax_in_graph=options.argmax_in_graph,
        extra=options.extra,
    )


def _report(
    compiled: ov.CompiledModel, fused: tuple[str, ...], *, from_cache: bool
) -> CompileReport:
    return CompileReport(
        backend='openvino',
        backend_version=devices.version(),
        device=_executing(compiled),
        precision=effective_precision(compiled),
        fused=fused,
        from_cache=from_cache,
    )


def _executing(compiled: ov.CompiledModel) -> str:
    # AUTO puts a device that is only a stand-in in brackets.
    taken = [str(each).strip('()') for each in compiled.get_property('EXECUTION_DEVICES')]
    return ', '.join(devices.full_name(each) for each in taken)


def _was_cached(compiled: ov.CompiledModel) -> bool:
    try:
        return bool(compiled.get_property('LOADED_FROM_CACHE'))
    except SDK_ERRORS:
        return False
