"""The preprocessing kernel gives what the CPU gives, within one grey level."""

from pathlib import Path
import shutil
import subprocess

from edge_seg.backends.tensorrt.preprocessing.kernel import kernel_program
from edge_seg.core.geometry import plan_geometry
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import DecodedImage, InputSpec, ResizeMode, ResizeRule, Size, TensorSpec
from edge_seg.errors import CompileFailed
from kernel_on_host import run_on_host
import numpy as np
import pytest

NETWORK = Size(64, 48)
CAMERAS = [
    Size(64, 48), Size(128, 96), Size(160, 120), Size(256, 192), Size(640, 480), Size(333, 251),
    Size(48, 36), Size(97, 61), Size(1280, 720),
]  # fmt: skip
MODES = [ResizeMode.STRETCH, ResizeMode.LETTERBOX, ResizeMode.CENTER_CROP]


def spec(order: str = 'rgb', **how: object) -> InputSpec:
    channels = 1 if order == 'gray' else 3
    given = {
        'mean': (0.4, 0.5, 0.6)[:channels], 'std': (0.2, 0.3, 0.25)[:channels],
        'color_order': order, 'size': NETWORK, **how,
    }  # fmt: skip
    return InputSpec('image', **given)  # type: ignore[arg-type]


def target(of: InputSpec, dtype: str, layout: str = 'NCHW') -> TensorSpec:
    width, height = of.size
    shape = (1, of.channels, height, width)
    if layout == 'NHWC':
        shape = (1, height, width, of.channels)
    return TensorSpec('image', shape, dtype, layout)  # type: ignore[arg-type]


def picture(size: Size, channels: int) -> np.ndarray:
    """Give slopes, edges and noise."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: size.height, : size.width]
    base = (x * 255 // max(1, size.width - 1) + 37 * (y // 7 % 2)) % 256
    noise = rng.integers(0, 256, (size.height, size.width, channels))
    mixed = np.where((x + y)[..., None] % 64 < 32, noise, base[..., None])
    return mixed.astype(np.uint8).squeeze()


def both(
    folder: Path, camera: Size, of: InputSpec, wanted: TensorSpec, order: str = 'bgr'
) -> tuple[np.ndarray, np.ndarray]:
    """Give the tensor of the CPU and that of the kernel."""
    image = picture(camera, 1 if order == 'gray' else len(order))
    plan = plan_geometry(camera, of.size, of.resize)
    expected = Preprocessor(of, wanted)(DecodedImage(image, order), plan)  # type: ignore[arg-type]
    program = kernel_program(of, wanted, plan, order, image.strides[0])  # type: ignore[arg-type]
    assert program.image_bytes == image.nbytes
    return expected, run_on_host(program, image, wanted.shape, wanted.dtype, folder)


@pytest.mark.parametrize('mode', MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize('camera', CAMERAS, ids=lambda size: f'{size.width}x{size.height}')
def test_every_way_to_resize_differs_by_one_grey_level_at_most(
    tmp_path: Path, camera: Size, mode: ResizeMode
) -> None:
    of = spec(resize=ResizeRule(mode))
    expected, found = both(tmp_path, camera, of, target(of, 'uint8'))
    difference = np.abs(expected.astype(int) - found.astype(int))
    assert difference.max() <= 1
    assert difference.mean() < 0.2


@pytest.mark.parametrize('order', ['rgb', 'bgr', 'rgba', 'bgra', 'gray'])
@pytest.mark.parametrize('wanted', ['rgb', 'bgr', 'gray'])
def test_channels_are_picked_by_name(tmp_path: Path, order: str, wanted: str) -> None:
    of = spec(wanted)
    expected, found = both(tmp_path, Size(128, 96), of, target(of, 'uint8'), order)
    assert np.abs(expected.astype(int) - found.astype(int)).max() <= 1


@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
@pytest.mark.parametrize('dtype', ['uint8', 'float16', 'float32'])
def test_values_and_layout_are_those_of_the_cpu(tmp_path: Path, dtype: str, layout: str) -> None:
    of = spec(layout=layout, resize=ResizeRule(ResizeMode.LETTERBOX))
    expected, found = both(tmp_path, Size(128, 64), of, target(of, dtype, layout), 'rgb')
    # A halving is exact, so the values are the same to the last bit, the border included.
    assert np.array_equal(expected, found)


def test_a_dtype_that_the_kernel_does_not_write_is_refused() -> None:
    of = spec()
    plan = plan_geometry(NETWORK, NETWORK, of.resize)
    with pytest.raises(CompileFailed, match='bfloat16'):
        kernel_program(of, target(of, 'bfloat16'), plan, 'rgb', 192)


def test_nvidias_compiler_takes_the_source(tmp_path: Path) -> None:
    nvcc = shutil.which('nvcc')
    if nvcc is None:
        pytest.skip('there is no nvcc')
    of = spec()
    plan = plan_geometry(Size(640, 480), NETWORK, of.resize)
    source = tmp_path / 'kernel.cu'
    source.write_text(kernel_program(of, target(of, 'float16'), plan, 'bgr', 1920).source)
    made = subprocess.run(
        [nvcc, '-ptx', '-o', tmp_path / 'kernel.ptx', source], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert '.entry preprocess(' in (tmp_path / 'kernel.ptx').read_text()
