"""The settings of the segmentation node: all its parameters, checked, and what follows of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
import os
from pathlib import Path
import re
from typing import cast, Literal

from edge_seg.backends.base import CompileOptions
from edge_seg.errors import SettingsInvalid
from edge_seg.models.signature import SignaturePolicy
from edge_seg.runtime.loading.probation import ProbationRules
from edge_seg.runtime.parameters.parameter_table import SEGMENTATION_PARAMETERS, validated_values
from edge_seg.runtime.parameters.tensorrt_parameters import backend_options

NO_CACHE = 'none'
CAMERA_NAME = re.compile('[A-Za-z][A-Za-z0-9_]*')
NAMED_NUMBER = re.compile(f' *({CAMERA_NAME.pattern}) *= *([0-9]{{1,6}}(?:[.][0-9]{{1,6}})?) *')


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationSettings:
    """One field for each entry of SEGMENTATION_PARAMETERS, which says what it means."""

    model: str
    model_store: str
    backend: Literal['auto', 'tensorrt', 'openvino', 'opencv']
    device: str
    precision: Literal['auto', 'fp32', 'fp16', 'bf16', 'int8']
    threads: int
    pin_threads: bool
    cache_dir: str
    build: Literal['never', 'on_demand']
    argmax_in_graph: bool
    cameras: tuple[str, ...]
    camera_priorities: tuple[str, ...]
    camera_rates_hz: tuple[str, ...]
    image_transport: Literal['raw', 'compressed']
    image_qos: Literal['auto', 'reliable', 'best_effort']
    mask_qos: Literal['reliable', 'best_effort']
    max_age_s: float
    max_rate_hz: float
    thermal_rate_hz: float
    thermal_dir: str
    lazy: bool
    overlay_alpha: float
    jpeg_quality: int
    png_compression: int
    diagnostics_period_s: float
    frame_timeout_s: float
    max_inference_errors: int
    warmup_runs: int
    preprocess: Literal['cpu', 'gpu', 'auto']
    require_signature: bool
    trusted_keys: tuple[str, ...]
    hmac_secret_file: str
    cache_limit_mb: int
    swap: Literal['overlap', 'exclusive']
    keep_previous: bool
    probation_frames: int
    probation_s: float
    max_error_share: float
    latency_budget_ms: float
    shadow_every: int
    min_agreement: float
    max_one_class_share: float
    watch_store_s: float
    keep_warm_s: float
    tensorrt_cuda: Literal['auto', 'pycuda', 'cuda-bindings']
    tensorrt_memory: Literal['pinned', 'mapped', 'auto']
    tensorrt_cuda_graph: bool
    tensorrt_dla_core: int
    tensorrt_unrecorded: bool
    tensorrt_workspace_mib: int
    tensorrt_optimisation_level: int

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> 'SegmentationSettings':
        """Check parameter values one by one and together; what is missing has its default.

        Raises:
            SettingsInvalid: an unknown name, an invalid value, values that contradict each other.
        """
        checked = cast('Mapping[str, object]', validated_values(SEGMENTATION_PARAMETERS, values))
        settings = cls(**checked)  # type: ignore[arg-type]  # types were checked by the table
        _check_together(settings)
        return settings

    def changed(self, values: Mapping[str, object]) -> 'SegmentationSettings':
        """Give these settings with some values replaced.

        Raises:
            SettingsInvalid: as ``from_values``.
        """
        return self.from_values({**self._values(), **values})

    def cache_directory(self, environment: Mapping[str, str] = os.environ) -> Path | None:
        """Give the folder for compiled models, which may not exist yet; None = no cache."""
        if self.cache_dir == NO_CACHE:
            return None
        if self.cache_dir:
            return Path(self.cache_dir).expanduser()
        home = environment.get('XDG_CACHE_HOME', '')
        # The XDG specification: a path that is not absolute counts as unset.
        root = Path(home) if os.path.isabs(home) else Path('~/.cache').expanduser()
        return root / 'edge_seg'

    def camera_priority(self, name: str) -> float:
        """Give the share of a camera against that of the others."""
        return named_numbers('camera_priorities', self.camera_priorities).get(name, 1.0)

    def camera_rate_hz(self, name: str) -> float:
        """Give the highest rate of a camera; 0 = no limit."""
        return named_numbers('camera_rates_hz', self.camera_rates_hz).get(name, self.max_rate_hz)

    def compile_options(self) -> CompileOptions:
        """Give what a backend needs to know to compile a model."""
        return CompileOptions(
            device='AUTO' if self.device.lower() == 'auto' else self.device,
            threads=self.threads,
            pin_threads=self.pin_threads,
            precision=self.precision,
            device_precision=True,
            cache_dir=None,  # the loader's cache is used: it is locked, keyed and limited
            argmax_in_graph=self.argmax_in_graph,
            extra=backend_options(self._values()),
        )

    def _values(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def signature_policy(self) -> SignaturePolicy:
        """Give the signatures that are asked for."""
        secret = self.hmac_secret_file
        return SignaturePolicy(
            require=self.require_signature,
            trusted_keys=tuple(Path(key).expanduser() for key in self.trusted_keys),
            hmac_secret_file=Path(secret).expanduser() if secret else None,
        )

    def probation_rules(self) -> ProbationRules:
        """Give what a new model is held to."""
        return ProbationRules(
            frames=self.probation_frames,
            seconds=self.probation_s,
            max_error_share=self.max_error_share,
            max_errors_in_a_row=self.max_inference_errors,
            latency_budget_s=self.latency_budget_ms / 1e3,
            shadow_every=self.shadow_every,
            min_agreement=self.min_agreement,
            max_one_class_share=self.max_one_class_share,
        )


def named_numbers(parameter: str, entries: tuple[str, ...]) -> dict[str, float]:
    """Read entries such as 'front=4'.

    Raises:
        SettingsInvalid: an entry of another form, below 0, not finite, or a name twice.
    """
    numbers: dict[str, float] = {}
    for entry in entries:
        found = NAMED_NUMBER.fullmatch(entry)
        if found is None or found[1] in numbers:
            raise SettingsInvalid(
                f'parameter {parameter} has the entry {entry!r}',
                expected="a camera's name, '=' and a number, each name once, as in 'front=4'",
            )
        numbers[found[1]] = float(found[2])
    return numbers


def _check_together(settings: SegmentationSettings) -> None:
    for name in ('model', 'device'):
        if not getattr(settings, name).strip():
            raise SettingsInvalid(
                f'parameter {name} is empty', remedy=f'set {name} or leave it out'
            )
    for name in settings.cameras:
        if not CAMERA_NAME.fullmatch(name):
            raise SettingsInvalid(
                f'parameter cameras has the name {name!r}',
                expected='letters, digits and underscores, the first a letter, as in topics',
            )
    if len(set(settings.cameras)) < len(settings.cameras):
        raise SettingsInvalid(
            f'parameter cameras is {list(settings.cameras)!r}', expected='each name once'
        )
    for field in ('camera_priorities', 'camera_rates_hz'):
        numbers = named_numbers(field, getattr(settings, field))
        for name in sorted(numbers.keys() - set(settings.cameras)):
            raise SettingsInvalid(
                f'parameter {field} names {name!r}',
                expected=f'a name in cameras, which is {list(settings.cameras)!r}',
            )
    if 0.0 in named_numbers('camera_priorities', settings.camera_priorities).values():
        raise SettingsInvalid(
            'parameter camera_priorities has a priority of 0',
            expected='more than 0',
            remedy='leave the camera out of cameras, or give the others higher priorities',
        )
    if settings.argmax_in_graph and settings.backend == 'opencv':
        raise SettingsInvalid(
            'argmax_in_graph is true with backend opencv, which cannot change a graph',
            expected='argmax_in_graph false, or another backend',
            remedy='set argmax_in_graph: false, or backend: auto',
        )
