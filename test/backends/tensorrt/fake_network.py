"""What the engines of the fake compute: normalise, 1x1 convolution, argmax; read by address."""

from typing import Any

from fake_gpu import FakeGpu
import numpy as np

DTYPES: dict[str, np.dtype[Any]] = {
    'FLOAT': np.dtype('f4'), 'HALF': np.dtype('f2'), 'UINT8': np.dtype('u1'),
    'INT8': np.dtype('i1'), 'INT32': np.dtype('i4'), 'INT64': np.dtype('i8'),
    'BOOL': np.dtype('?'), 'BF16': np.dtype('u2'), 'FP8': np.dtype('u1'),
}  # fmt: skip


def compute(
    gpu: FakeGpu,
    plan: dict[str, Any],
    shapes: dict[str, list[int]],
    addresses: dict[str, int],
) -> None:
    """Read the image where its address points, compute, write every output to its address."""
    tensors = {each['name']: each for each in plan['tensors']}

    def at(name: str) -> Any:
        dtype = DTYPES[tensors[name]['dtype']]
        count = int(np.prod(shapes[name]))
        return gpu.at(addresses[name], count * dtype.itemsize).view(dtype).reshape(shapes[name])

    (image_name,) = (name for name, each in tensors.items() if each['mode'] == 'INPUT')
    image = at(image_name)
    raw = image.dtype == np.uint8
    if plan['input_layout'] == 'NHWC':
        image = image.transpose(0, 3, 1, 2)
    values = image.astype('f4')
    if raw:
        mean, std = (np.array(plan[key], 'f4')[:, None, None] for key in ('mean', 'std'))
        values = (values / plan['scale'] - mean) / std
    scores = np.einsum('nchw,oc->nohw', values, np.array(plan['kernel'], 'f4'))
    scores = _spoilt(scores + np.array(plan['bias'], 'f4')[:, None, None], plan['wrong'])
    for name, each in tensors.items():
        if each['mode'] == 'OUTPUT':
            result = at(name)
            result[...] = _laid_out(scores, each['dtype'], plan['output_layout'], result.shape)


def _spoilt(scores: Any, how: str) -> Any:
    if how == 'nan':
        return np.full_like(scores, np.nan)
    if how == 'constant':
        return np.ones_like(scores)
    if how == 'one_class':
        scores[:, 0] = 1000.0 + scores[:, 1]
    if how == 'shifted':
        return np.roll(scores, 1, axis=1)
    return scores


def _laid_out(scores: Any, dtype: str, layout: str, shape: tuple[int, ...]) -> Any:
    if dtype in ('UINT8', 'INT32', 'INT64'):
        return scores.argmax(1).reshape(shape)
    if layout == 'NHWC':
        return scores.transpose(0, 2, 3, 1)
    return scores.reshape(shape)
