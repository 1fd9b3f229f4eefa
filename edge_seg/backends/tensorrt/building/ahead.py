"""Building ahead as part of the TensorRT backend; the SDK is imported when it is first needed."""

from pathlib import Path

from edge_seg.backends.base import CompileOptions, CompileReport
from edge_seg.backends.build_progress import OnProgress
from edge_seg.backends.tensorrt.building.engine import build_engine
from edge_seg.backends.tensorrt.building.network import read_network
from edge_seg.backends.tensorrt.building.options import build_options, command_line
from edge_seg.backends.tensorrt.building.plan import BuildPlan, plan_build
from edge_seg.backends.tensorrt.files.engine import read_known
from edge_seg.backends.tensorrt.files.key import built_for, read_record
from edge_seg.backends.tensorrt.library.device import this_device
from edge_seg.backends.tensorrt.library.sdk import load_sdk
from edge_seg.core.values import ModelSpec
from edge_seg.errors import CompileFailed, PrebuiltUnusable


class BuildsEngines:
    """The part of ``TensorRtBackend`` that builds; it is an ``EngineBuilding``."""

    name = 'tensorrt'
    prebuilt_suffix = '.plan'

    def build(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions, out_path: Path
    ) -> CompileReport:
        """Build an engine from an ONNX file, without telling how far it is."""
        return build_engine(artifact, spec, options, out_path)

    def build_engine(
        self,
        artifact: Path,
        spec: ModelSpec,
        options: CompileOptions,
        out_path: Path,
        *,
        on_progress: OnProgress | None,
    ) -> CompileReport:
        """Build an engine from an ONNX file; takes minutes on a robot.

        Args:
            artifact: .onnx.
            spec: what the manifest declares; an input of open shape is pinned to its size.
            options: ``extra`` takes workspace_mib, optimisation_level, timing_cache, dla_core
                and what ``compile_model`` takes.
            out_path: the engine; its record is written beside it.
            on_progress: called from TensorRT's threads; gives False to cancel.

        Raises:
            BackendUnavailable: driver, TensorRT, CUDA layer, device or DLA core missing.
            CompileFailed: TensorRT cannot read or build it, a precision or option cannot be met,
                or it was cancelled.
            IncompatibleModel: the file is not what ``spec`` says.
        """
        return build_engine(artifact, spec, options, out_path, on_progress=on_progress)

    def build_key_parts(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> tuple[str, ...]:
        """Give the digest of the engine's key: network, machine, precision, limits."""
        return (self.build_plan(artifact, spec, options).key.digest(),)

    def entry_problem(self, engine: Path, parts: tuple[str, ...]) -> str:
        """Say why an engine is not the one of these key parts; '' when it is, by its record.

        A damaged one is found when it is loaded; see ``read_known``.
        """
        try:
            record = read_known(engine)
        except CompileFailed as failure:
            return str(failure)
        if record is None:
            return f'{engine.name} has no record of what it was built for'
        if (record.request,) != parts:
            return f'{engine.name} was built for another network, machine or setting'
        return ''

    def mismatch(self, engine: Path, artifact: Path, options: CompileOptions) -> str:
        """Say by its record why an engine is not what is asked for; see ``EngineBuilding``.

        One without a record was compared with nothing, so it is none.
        """
        wanted = build_options(options)
        try:
            record = read_record(engine)
        except PrebuiltUnusable as damaged:
            return damaged.met
        if record is None:
            return f'{engine.name} has no record of what it was built for'
        here = built_for(this_device(options.device), load_sdk().version)
        problem = record.key.machine.difference(here) or wanted.unmet_by(record.key)
        if problem:
            return f'{engine.name} was built for {problem}'
        if record.key.network_sha256 != read_network(artifact).sha256:
            return f'{engine.name} was built from another network than {artifact.name}'
        return ''

    def build_plan(self, artifact: Path, spec: ModelSpec, options: CompileOptions) -> BuildPlan:
        """Say how a build would be done; errors as in ``build_engine``, as far as they show."""
        return plan_build(load_sdk(), artifact, spec, options)

    def build_command(self, identity: str, options: CompileOptions) -> str:
        """Give the command line that builds the engine of model ``identity``."""
        return command_line(identity, options)
