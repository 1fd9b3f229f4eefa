"""The CUDA kernel that does what ``core.preprocess`` does, in one pass over the network input.

It is compiled on the target for one camera size. Each thread makes one pixel of the network input:
it resizes through the same stages as the CPU, rounding where the CPU rounds, picks the channels,
and looks the value of the tensor up in a table, so that only the resize can differ, by one grey
level.
"""

from dataclasses import dataclass

import cv2
from edge_seg.core.geometry import GeometryPlan
from edge_seg.core.preprocess import resize_stages
from edge_seg.core.values import ColorOrder, InputSpec, Size, TensorSpec
from edge_seg.errors import CompileFailed
import numpy as np
import numpy.typing as npt

KERNEL = 'preprocess'
BLOCK = (32, 8, 1)
_ELEMENTS = {'uint8': 'unsigned char', 'float16': 'unsigned short', 'float32': 'float'}
_WORDS = {'uint8': np.uint8, 'float16': np.uint16, 'float32': np.float32}
_LINEAR, _AREA, _COPY = 0, 1, 2

_SOURCE = """
typedef unsigned char pixel_t;

// Value of the source after LEVEL exact halvings, rounded at each as the CPU does.
template <int LEVEL> struct Halved {
  static __device__ int at(const pixel_t *image, int x, int y, int channel) {
    return (Halved<LEVEL - 1>::at(image, 2 * x, 2 * y, channel) +
            Halved<LEVEL - 1>::at(image, 2 * x + 1, 2 * y, channel) +
            Halved<LEVEL - 1>::at(image, 2 * x, 2 * y + 1, channel) +
            Halved<LEVEL - 1>::at(image, 2 * x + 1, 2 * y + 1, channel) + 2) >> 2;
  }
};
template <> struct Halved<0> {
  static __device__ int at(const pixel_t *image, int x, int y, int channel) {
    return image[(ROI_Y + y) * STEP + (ROI_X + x) * CHANNELS + channel];
  }
};

static __device__ int clamped(int value, int limit) {
  return value < 0 ? 0 : value > limit ? limit : value;
}

static __device__ int linear(const pixel_t *image, int x, int y, int channel) {
  float px = (x + 0.5f) * ((float)IN_WIDTH / OUT_WIDTH) - 0.5f;
  float py = (y + 0.5f) * ((float)IN_HEIGHT / OUT_HEIGHT) - 0.5f;
  int left = (int)floorf(px), top = (int)floorf(py);
  float right_share = px - left, bottom_share = py - top;
  int x0 = clamped(left, IN_WIDTH - 1), x1 = clamped(left + 1, IN_WIDTH - 1);
  int y0 = clamped(top, IN_HEIGHT - 1), y1 = clamped(top + 1, IN_HEIGHT - 1);
  float upper = Halved<HALVINGS>::at(image, x0, y0, channel) * (1.0f - right_share) +
                Halved<HALVINGS>::at(image, x1, y0, channel) * right_share;
  float lower = Halved<HALVINGS>::at(image, x0, y1, channel) * (1.0f - right_share) +
                Halved<HALVINGS>::at(image, x1, y1, channel) * right_share;
  return (int)(upper * (1.0f - bottom_share) + lower * bottom_share + 0.5f);
}

// Length of what the pixels [i, i + 1) and [begin, end) have in common.
static __device__ float overlap(int i, float begin, float end) {
  return fminf(i + 1.0f, end) - fmaxf((float)i, begin);
}

static __device__ int area(const pixel_t *image, int x, int y, int channel) {
  float wide = (float)IN_WIDTH / OUT_WIDTH, high = (float)IN_HEIGHT / OUT_HEIGHT;
  float x_begin = x * wide, x_end = x_begin + wide, y_begin = y * high, y_end = y_begin + high;
  float sum = 0.0f, weights = 0.0f;
  for (int iy = (int)y_begin; iy < y_end && iy < IN_HEIGHT; ++iy)
    for (int ix = (int)x_begin; ix < x_end && ix < IN_WIDTH; ++ix) {
      float weight = overlap(ix, x_begin, x_end) * overlap(iy, y_begin, y_end);
      sum += weight * Halved<HALVINGS>::at(image, ix, iy, channel);
      weights += weight;
    }
  return (int)(sum / weights + 0.5f);
}

static __device__ int resized(const pixel_t *image, int x, int y, int channel) {
  if (FILTER == 0) return linear(image, x, y, channel);
  if (FILTER == 1) return area(image, x, y, channel);
  return Halved<HALVINGS>::at(image, x, y, channel);
}

static __device__ int value_of(const pixel_t *image, int x, int y, int output) {
  if (TO_GRAY)
    return (int)(0.299f * resized(image, x, y, RED) + 0.587f * resized(image, x, y, GREEN) +
                 0.114f * resized(image, x, y, BLUE) + 0.5f);
  return resized(image, x, y, output == 0 ? FIRST : output == 1 ? SECOND : THIRD);
}

// image: rows of STEP bytes; table: 256 values for each output channel; tensor: all of it.
extern "C" __global__ void preprocess(const pixel_t *image, const element_t *table,
                                      element_t *tensor) {
  int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= NET_WIDTH || y >= NET_HEIGHT) return;
  bool inside = x >= OUT_X && x < OUT_X + OUT_WIDTH && y >= OUT_Y && y < OUT_Y + OUT_HEIGHT;
  for (int output = 0; output < OUTPUTS; ++output) {
    int value = inside ? value_of(image, x - OUT_X, y - OUT_Y, output) : PAD;
    int place = PLANAR ? (output * NET_HEIGHT + y) * NET_WIDTH + x
                       : (y * NET_WIDTH + x) * OUTPUTS + output;
    tensor[place] = table[output * 256 + clamped(value, 255)];
  }
}
"""


@dataclass(frozen=True, slots=True)
class KernelProgram:
    """A kernel for one camera size and one network.

    Attributes:
        source: CUDA C++, complete.
        grid: blocks of ``BLOCK`` threads to launch.
        table: (channels, 256), what each grey value becomes; float16 as the bits in uint16.
        image_bytes: length of the camera image with its row step.
    """

    source: str
    grid: tuple[int, int, int]
    table: npt.NDArray[np.generic]
    image_bytes: int


def kernel_program(
    spec: InputSpec, target: TensorSpec, plan: GeometryPlan, order: ColorOrder, step: int
) -> KernelProgram:
    """Write the kernel.

    Args:
        spec: what the manifest says of the input.
        target: the tensor that the engine takes.
        plan: where the camera image lies in the network input.
        order: channels of the camera image.
        step: bytes from one of its rows to the next.

    Raises:
        CompileFailed: a dtype that the kernel does not write.
    """
    if target.dtype not in _ELEMENTS:
        raise CompileFailed(
            f'the preprocessing kernel does not write {target.dtype}',
            expected=' or '.join(_ELEMENTS),
            remedy='leave preprocessing on the CPU',
        )
    halvings, before, kind = _stages(plan)
    numbers = {
        'STEP': step, 'CHANNELS': 1 if order == 'gray' else len(order),
        'ROI_X': plan.camera_roi.x, 'ROI_Y': plan.camera_roi.y,
        'HALVINGS': halvings, 'IN_WIDTH': before.width, 'IN_HEIGHT': before.height,
        'OUT_X': plan.network_roi.x, 'OUT_Y': plan.network_roi.y,
        'OUT_WIDTH': plan.network_roi.width, 'OUT_HEIGHT': plan.network_roi.height,
        'NET_WIDTH': plan.network.width, 'NET_HEIGHT': plan.network.height,
        'FILTER': kind, 'OUTPUTS': spec.channels, 'PAD': plan.pad_value,
        'PLANAR': int(target.layout != 'NHWC'), **_channels(spec.color_order, order),
    }  # fmt: skip
    defines = ''.join(f'#define {name} {value}\n' for name, value in numbers.items())
    element = f'typedef {_ELEMENTS[target.dtype]} element_t;\n'
    return KernelProgram(
        defines + element + _SOURCE,
        (-(-plan.network.width // BLOCK[0]), -(-plan.network.height // BLOCK[1]), 1),
        _table(spec, target.dtype),
        step * plan.camera.height,
    )


def _stages(plan: GeometryPlan) -> tuple[int, Size, int]:
    """Give the number of halvings, the size after them, and the filter of the last stage."""
    source = Size(plan.camera_roi.width, plan.camera_roi.height)
    target = Size(plan.network_roi.width, plan.network_roi.height)
    halvings, size = 0, source
    for wanted, interpolation in resize_stages(source, target):
        if interpolation == cv2.INTER_AREA and Size(2 * wanted.width, 2 * wanted.height) == size:
            halvings, size = halvings + 1, wanted
        else:
            return halvings, size, _AREA if interpolation == cv2.INTER_AREA else _LINEAR
    return halvings, size, _COPY


def _channels(wanted: ColorOrder, order: ColorOrder) -> dict[str, int]:
    """Say which channel of the camera image each output takes."""
    place = {name: max(0, order.find(name)) for name in 'rgb'} if order != 'gray' else {}
    names = ('FIRST', 'SECOND', 'THIRD')
    picked = [place.get(name, 0) for name in wanted] if wanted != 'gray' else [0, 0, 0]
    return {
        'TO_GRAY': int(wanted == 'gray' and order != 'gray'),
        'RED': place.get('r', 0), 'GREEN': place.get('g', 0), 'BLUE': place.get('b', 0),
        **dict(zip(names, picked, strict=True)),
    }  # fmt: skip


def _table(spec: InputSpec, dtype: str) -> npt.NDArray[np.generic]:
    pixel = np.arange(256, dtype=np.float64)
    if spec.dtype == 'uint8' or dtype == 'uint8':
        values = np.repeat(pixel[None], spec.channels, axis=0)
    else:
        mean = np.asarray(spec.mean[: spec.channels], np.float64)[:, None]
        std = np.asarray(spec.std[: spec.channels], np.float64)[:, None]
        values = (pixel / spec.scale - mean) / std
    table = np.ascontiguousarray(values.astype(dtype))
    return table.view(_WORDS[dtype])
