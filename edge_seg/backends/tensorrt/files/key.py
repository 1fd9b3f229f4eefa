"""What an engine was built from and for: its cache key, and the record kept beside it."""

from dataclasses import asdict, dataclass, fields
import hashlib
import json
from pathlib import Path
from typing import Any

from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.backends.tensorrt.files.trusted import read_trusted
from edge_seg.errors import PrebuiltUnusable

RECORD_SUFFIX = '.json'
NO_TF32 = 'no_tf32'
"""Among the compatibility flags: fp32 is computed in full."""
_MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BuiltFor:
    """The machine that an engine fits; on any other it is refused.

    Attributes:
        tensorrt: full version, e.g. '10.13.3.9'.
        cuda: CUDA version of the driver, e.g. '12.6'.
        device: product name of the GPU.
        compute_capability: e.g. '8.7'.
        sm_count: streaming multiprocessors.
    """

    tensorrt: str
    cuda: str
    device: str
    compute_capability: str
    sm_count: int

    def difference(self, other: 'BuiltFor') -> str:
        """Say what the machine ``other`` lacks to run this engine; '' for nothing.

        A newer driver is fine, CUDA is compatible upwards; an older one may lack what it needs.
        """
        pairs = (
            ('TensorRT', self.tensorrt, other.tensorrt),
            ('GPU', self.device, other.device),
            ('compute capability', self.compute_capability, other.compute_capability),
            ('multiprocessors', str(self.sm_count), str(other.sm_count)),
        )
        differing = [f'{what} {own}, here is {here}' for what, own, here in pairs if own != here]
        if _numbers(other.cuda) < _numbers(self.cuda):
            differing.append(f'a driver of CUDA {self.cuda}, here is one of {other.cuda}')
        return '; '.join(differing)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split('.') if part.isdecimal())


def built_for(device: DeviceInfo, tensorrt: str) -> BuiltFor:
    """Describe this machine.

    Args:
        device: the GPU.
        tensorrt: version of the SDK that is installed.
    """
    major, minor = device.compute_capability
    return BuiltFor(tensorrt, device.driver_cuda, device.name, f'{major}.{minor}', device.sm_count)


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that changes the engine which comes out of a build.

    Attributes:
        network_sha256: of the ONNX file and its external data.
        machine: TensorRT, CUDA and GPU.
        precision: effective precision: fp32, fp16, bf16, int8 or mixed.
        profiles: min, opt and max shape of every input, as text.
        workspace_bytes: limit of the workspace pool.
        optimisation_level: of the builder.
        compatibility: compatibility flags, sorted.
        dla_core: -1 for none.
    """

    network_sha256: str
    machine: BuiltFor
    precision: str
    profiles: tuple[str, ...] = ()
    workspace_bytes: int = 0
    optimisation_level: int = 3
    compatibility: tuple[str, ...] = ()
    dla_core: int = -1

    @property
    def tf32(self) -> bool:
        """Whether fp32 may be computed in TF32, which has the mantissa of fp16."""
        return NO_TF32 not in self.compatibility

    def digest(self) -> str:
        """Give the key as one name, the same on every run."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """What the builder knows of an engine, kept in a JSON file beside it.

    Attributes:
        key: what it was built from and for.
        plan_sha256: digest of the engine file.
        request: digest of the key that was asked for, by which a cache tells engines apart; the
            precision in it is the one planned, that in ``key`` the one that came out.
    """

    key: EngineKey
    plan_sha256: str
    request: str

    def to_json(self) -> str:
        """Give the record as text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + '\n'

    @classmethod
    def from_json(cls, text: str) -> 'EngineRecord':
        """Read what ``to_json`` wrote.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        found: dict[str, Any] = json.loads(text)
        key = dict(found['key'])
        machine = BuiltFor(**key.pop('machine'))
        for name in ('profiles', 'compatibility'):
            if not isinstance(key[name], list) or not all(isinstance(x, str) for x in key[name]):
                raise TypeError(f'{name} is {key[name]!r}')
            key[name] = tuple(key[name])
        made = EngineKey(machine=machine, **key)
        record = cls(made, found['plan_sha256'], found['request'])
        for part in (record, made, machine):
            _check_types(part)
        return record


def _check_types(part: BuiltFor | EngineKey | EngineRecord) -> None:
    """Refuse numbers in place of text and the reverse, which Python takes and trips over later."""
    for field in fields(part):
        value = getattr(part, field.name)
        if field.type in (str, int) and type(value) is not field.type:
            raise TypeError(f'{field.name} is {value!r}')


def record_path(engine: Path) -> Path:
    """Give the place of an engine's record: net.plan → net.plan.json."""
    return engine.with_name(engine.name + RECORD_SUFFIX)


def read_record(engine: Path) -> EngineRecord | None:
    """Read the record beside an engine; None when there is none.

    Raises:
        PrebuiltUnusable: it is there and unreadable.
        CompileFailed: others can write it.
    """
    path = record_path(engine)
    try:
        text = read_trusted(path, limit=_MAX_RECORD_BYTES)
    except FileNotFoundError:
        return None
    try:
        return EngineRecord.from_json(text.decode())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PrebuiltUnusable(
            f'{path.name} is damaged ({error})', remedy=f'rebuild {engine.name}'
        ) from error
