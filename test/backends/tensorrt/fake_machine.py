"""A machine whose TensorRT, CUDA layers and driver are fakes."""

import gc
import hashlib
import importlib
from importlib.machinery import ModuleSpec
from pathlib import Path
import sys
import threading

from edge_seg.backends.tensorrt import TensorRtBackend
from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.backends.tensorrt.files.key import built_for, EngineKey, EngineRecord, record_path
from fake_cuda_bindings import make_cuda_bindings
from fake_gpu import FakeCudaError, FakeGpu
from fake_plan import FakePlan, plan_of
from fake_pycuda import make_pycuda
from fake_tensorrt import make_tensorrt
import pytest
from tiny_models import TinyModel

PACKAGE = 'edge_seg.backends.tensorrt'
ORIN = DeviceInfo(0, 'Orin', (8, 7), 16, True, '12.6')


def add_record(
    engine: Path, version: str, device: DeviceInfo = ORIN, *, dla_core: int = -1
) -> Path:
    """Write beside an engine that it was built by a version of TensorRT for a device."""
    key = EngineKey('ab' * 32, built_for(device, version), 'unknown', dla_core=dla_core)
    digest = hashlib.sha256(engine.read_bytes()).hexdigest()
    record_path(engine).write_text(EngineRecord(key, digest, key.digest()).to_json(), 'utf-8')
    record_path(engine).chmod(0o600)
    return record_path(engine)


class FakeMachine:
    """A computer with one GPU and one version of TensorRT.

    Attributes:
        gpu: its GPU.
        version: of TensorRT.
        trt: the fake module.
        backend: the backend under test.
    """

    def __init__(self, version: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.gpu = FakeGpu()
        self.version = version
        self.folder = folder
        self.trt = make_tensorrt(self.gpu, version)
        self.backend = TensorRtBackend()
        self._patch = monkeypatch
        modules = {
            'tensorrt': self.trt, **make_pycuda(self.gpu), **make_cuda_bindings(self.gpu)
        }  # fmt: skip
        for name, module in modules.items():
            module.__spec__ = ModuleSpec(name, None)
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(f'{PACKAGE}.library.sdk.driver_problem', lambda: '')
        monkeypatch.setattr(f'{PACKAGE}.cuda.with_pycuda.pop_context', self.gpu.pop)
        # Its GPU shares no memory with the machine that the tests run on.
        monkeypatch.setattr(f'{PACKAGE}.serving.memory_fit.available_bytes', lambda: 0)
        self.devices(ORIN)

    def devices(self, *devices: DeviceInfo) -> None:
        """Say which GPUs the driver sees."""
        self.present = devices
        for module in (PACKAGE, f'{PACKAGE}.library.device'):
            self._patch.setattr(
                importlib.import_module(module), 'read_devices', lambda: tuple(devices)
            )

    def engine(
        self,
        model: TinyModel | FakePlan,
        name: str = 'net.plan',
        *,
        recorded: bool = True,
        dla_core: int = -1,
        **how: object,
    ) -> Path:
        """Write an engine built by this version, with a record that says so."""
        plan = (
            plan_of(model, self.version, **how)  # type: ignore[arg-type]
            if isinstance(model, TinyModel)
            else model
        )
        engine = plan.save(self.folder / name)
        record_path(engine).unlink(missing_ok=True)
        if recorded:
            add_record(engine, self.version, self.present[0], dla_core=dla_core)
        return engine

    def settled(self) -> list[str]:
        """Give everything that went wrong or was left over, once all models are closed."""
        gc.collect()
        return self.gpu.violations + self.gpu.left_over()

    def settle(self) -> None:
        """Wait for threads of the backend that were left behind."""
        for thread in threading.enumerate():
            if thread.name.startswith('tensorrt'):
                thread.join(30.0)

    def lost_gpu(self, layer: str) -> Exception:
        """Give the error with which a layer reports that the GPU is lost."""
        if layer == 'pycuda':
            error: Exception = sys.modules['pycuda.driver'].LogicError('the GPU is lost')
            return error
        return FakeCudaError('the GPU is lost')

    def replace_driver_function(self, name: str, function: object) -> None:
        """Put something in the place of a function of cuda.bindings.driver."""
        self._patch.setattr(sys.modules['cuda.bindings.driver'], name, function)
