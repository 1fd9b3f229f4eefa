"""TensorRT's own objects for one engine; every answer of theirs is checked."""

from typing import Any, NoReturn

from edge_seg.backends.layer_profile import LayerTime
from edge_seg.backends.tensorrt.engine.fitting import EngineTensor, InputFit, Shape
from edge_seg.backends.tensorrt.engine.precision import (
    engine_precision,
    layer_information,
    layers_of,
    on_accelerator,
)
from edge_seg.backends.tensorrt.engine.tensors import activation_bytes, read_tensors
from edge_seg.backends.tensorrt.files.engine import EngineFile
from edge_seg.backends.tensorrt.library.accelerator import use_accelerator
from edge_seg.backends.tensorrt.library.sdk import Sdk, start_runtime
from edge_seg.backends.tensorrt.library.translate import (
    ANY_MODEL,
    explain,
    rebuild,
    version_mismatch,
)
from edge_seg.errors import CompileFailed, InferenceFailed, PrebuiltUnusable

RAISED = (RuntimeError, TypeError, ValueError, MemoryError)
"""What pybind11 makes of C++ exceptions; usually TensorRT only logs and gives None or False."""


class LoadedEngine:
    """Runtime, engine and execution context, on the thread that makes this object.

    TensorRT reports failure as None or False; each becomes an exception with what it logged.

    Args:
        sdk: TensorRT.
        file: the engine.
        model: name@version, for messages.
        dla_core: deep learning accelerator to load it for; -1 for none.
        scarce: so little memory is free that a refusal may be for want of it, which TensorRT
            tells only in words.

    Raises:
        BackendUnavailable: TensorRT does not start, or there is no such DLA core.
        PrebuiltUnusable: the engine does not load, and memory is not to blame.
        CompileFailed: the engine does not load just now.
    """

    def __init__(
        self,
        sdk: Sdk,
        file: EngineFile,
        *,
        model: str = ANY_MODEL,
        dla_core: int = -1,
        scarce: bool = False,
    ) -> None:
        self._sdk = sdk
        self._file = file.name
        self._model = model
        self._engine: Any = None
        self._context: Any = None
        self._runtime: Any = start_runtime(sdk)
        # engine_host_code_allowed stays False: an engine may carry host code to run.
        if dla_core >= 0:
            use_accelerator(self._runtime, dla_core)
        mark = sdk.ring.mark()
        try:
            self._engine = self._runtime.deserialize_cuda_engine(file.blob)
        except RAISED as error:
            self._refuse('cannot be loaded', mark, str(error))
        if self._engine is None:
            self._refuse_to_load(file, mark, scarce=scarce)

    @property
    def tensors(self) -> tuple[EngineTensor, ...]:
        """Inputs and outputs."""
        return read_tensors(self._sdk, self._engine)

    @property
    def precision(self) -> str:
        """What most heavy layers compute in, 'unknown' when the engine does not tell."""
        return engine_precision(self._sdk, self._engine)

    @property
    def on_accelerator(self) -> bool:
        """Whether some of it, of one loaded for a DLA core, runs there and not on the GPU."""
        return on_accelerator(layer_information(self._sdk, self._engine))

    @property
    def layers(self) -> tuple[LayerTime, ...]:
        """What the engine tells of its layers, without times; () when it tells nothing."""
        return layers_of(layer_information(self._sdk, self._engine))

    @property
    def activation_bytes(self) -> int:
        """GPU memory that ``make_context`` takes."""
        return activation_bytes(self._sdk, self._engine)

    def make_context(self, fit: InputFit, stream: int) -> None:
        """Make the execution context and fix every shape.

        Args:
            fit: name and shape of the input, and its profile.
            stream: handle of the stream that the engine will run in.

        Raises:
            CompileFailed: no memory, or the shape is refused.
        """
        mark = self._sdk.ring.mark()
        try:
            self._context = self._engine.create_execution_context()
            if self._context is None:
                self._refuse('cannot be made ready', mark)
            self._fix_shapes(fit, stream, mark)
        except RAISED as error:
            self._refuse('cannot be made ready', mark, str(error))

    def _fix_shapes(self, fit: InputFit, stream: int, mark: int) -> None:
        context = self._context
        # Profile 0 is active from the start; asking for it again costs a synchronisation.
        if fit.profile > 0 and not context.set_optimization_profile_async(fit.profile, stream):
            self._refuse(f'does not switch to profile {fit.profile}', mark)
        name = fit.spec.name
        if not context.set_input_shape(name, fit.run_shape):
            self._refuse(f'does not take {name} as {fit.run_shape}', mark)
        missing = context.infer_shapes()  # raises RuntimeError for shapes that contradict
        if missing:
            self._refuse(f'leaves the shapes of {", ".join(map(str, missing))} open', mark)

    def shape(self, name: str) -> Shape:
        """Shape of an input or output, after ``make_context``."""
        return tuple(self._context.get_tensor_shape(name))

    def bind(self, name: str, address: int) -> None:
        """Tell where an input or output lies in GPU memory.

        Raises:
            CompileFailed: refused.
        """
        mark = self._sdk.ring.mark()
        if not self._context.set_tensor_address(name, address):
            self._refuse(f'does not take an address for {name}', mark)

    def enqueue(self, stream: int) -> None:
        """Put one inference into a stream, by its handle.

        Raises:
            InferenceFailed: refused.
        """
        mark = self._sdk.ring.mark()
        if not self._context.execute_async_v3(stream):
            why = explain(self._sdk.ring.since(mark), model=self._model)
            raise InferenceFailed(f'TensorRT refused the frame: {why.met}', remedy=why.remedy)

    def close(self) -> None:
        """Free everything, each before what it needs; these are the only references."""
        self._context = None
        self._engine = None
        self._runtime = None

    def _refuse_to_load(self, file: EngineFile, mark: int, *, scarce: bool) -> NoReturn:
        here = self._sdk.parsed_version
        if file.header.version != here:
            told = ' | '.join(self._sdk.ring.since(mark)) or 'nothing'
            met = version_mismatch(file.name, file.header.version, str(here))
            raise PrebuiltUnusable(f'{met} (TensorRT says: {told})', remedy=rebuild(self._model))
        why = explain(self._sdk.ring.since(mark), model=self._model)
        if scarce:
            raise CompileFailed(
                f'{file.name} cannot be loaded while little memory is free: {why.met}',
                remedy=why.remedy
                or f'free some; if it persists, remove it and {rebuild(self._model)}',
            )
        raise PrebuiltUnusable(
            f'{file.name} cannot be loaded: {why.met}', remedy=why.remedy or rebuild(self._model)
        )

    def _refuse(self, what: str, mark: int, *more: str) -> NoReturn:
        why = explain((*self._sdk.ring.since(mark), *more), model=self._model)
        raise CompileFailed(
            f'{self._file} {what}: {why.met}',
            remedy=why.remedy or f'if it persists, {rebuild(self._model)}',
        )
