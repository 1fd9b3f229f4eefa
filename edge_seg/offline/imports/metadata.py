"""What exporters write into a model file beside the network: names of classes, normalisation.

Known are the entries of OpenVINO's Model API (``model_info``: Geti, OTX, Anomalib) and the entry
``names`` of Ultralytics; https://github.com/open-edge-platform/model_api documents the former.
"""

import ast
from collections.abc import Mapping, Sequence
import json

from edge_seg.offline.imports.network import WrittenDown

MODEL_API = 'model_info '
MODEL_API_ENTRIES = (
    'labels', 'mean_values', 'scale_values', 'reverse_input_channels', 'resize_type',
    'embedded_processing',
)  # fmt: skip
NAMES = ('names', 'classes', 'class_names', 'labels')
RESIZE_MODES = {
    'standard': 'stretch',
    'fit_to_window': 'letterbox',
    'fit_to_window_letterbox': 'letterbox',
    'crop': 'center_crop',
}


def written_in_onnx(entries: Sequence[tuple[str, str]]) -> WrittenDown:
    """Read the metadata of an ONNX file."""
    known = dict(entries)
    model_api = {
        name.removeprefix(MODEL_API): value
        for name, value in known.items()
        if name.startswith(MODEL_API)
    }
    if model_api:
        return written_by_model_api(model_api)
    for name in NAMES:
        classes = _names(known.get(name, ''))
        if classes:
            return WrittenDown(classes=classes)
    return WrittenDown()


def written_by_model_api(entries: Mapping[str, str]) -> WrittenDown:
    """Read the entries of ``model_info``; spaces inside a name are written as '_' there."""
    mean, scale = entries.get('mean_values', '').split(), entries.get('scale_values', '').split()
    normalise = ''
    if (mean or scale) and entries.get('embedded_processing', '').upper() not in ('TRUE', 'YES'):
        normalise = f'{",".join(mean or ["0"])}/{",".join(scale or ["1"])}/1'
    order = {'YES': 'rgb', 'TRUE': 'rgb', 'NO': 'bgr', 'FALSE': 'bgr'}
    return WrittenDown(
        classes=tuple(entries.get('labels', '').split()),
        normalise=normalise,
        color_order=order.get(entries.get('reverse_input_channels', '').upper(), ''),
        resize=RESIZE_MODES.get(entries.get('resize_type', ''), ''),
    )


def _names(text: str) -> tuple[str, ...]:
    """Read a list, or a mapping from id to name, in JSON or as Python writes it."""
    if not text.strip().startswith(('[', '{', '(')):
        return tuple(part.strip() for part in text.split(',') if part.strip())
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return ()
    if isinstance(value, Mapping):
        by_id = {str(key): name for key, name in value.items()}
        value = [by_id.get(str(index), '') for index in range(len(by_id))]
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) and v for v in value):
        return ()
    return tuple(value)
