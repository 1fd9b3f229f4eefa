"""Reading TFLite files, with the operator that MediaPipe's segmentation networks add to TFLite."""

from pathlib import Path
from typing import Any

import openvino as ov
from openvino import opset8
from openvino.frontend import ConversionExtension, FrontEnd


def read(frontend: FrontEnd, path: Path) -> ov.Model:
    """Read a TFLite file.

    Args:
        frontend: OpenVINO's for TFLite.
        path: the file.

    Raises:
        One of SDK_ERRORS: it is damaged, or has operators that OpenVINO does not know.
    """
    frontend.add_extension(ConversionExtension('Convolution2DTransposeBias', _enlarged))
    return frontend.convert(frontend.load(str(path)))


def _enlarged(node: Any) -> list[Any]:
    """Convert MediaPipe's transposed convolution with a bias, of which no two results overlap.

    OpenVINO does not hand on the options of a custom operator, so the step is not known. It is
    the size of the kernel (2x2) in all of MediaPipe's networks; another step would give another
    size, which does not fit the rest of the graph or the proportions of the image.
    """
    image, kernel, bias = (node.get_input(index) for index in range(3))
    filters = opset8.transpose(kernel, [3, 0, 1, 2])  # from out, height, width, in
    height, width = (kernel.get_partial_shape()[axis].get_length() for axis in (1, 2))
    planes = opset8.convolution_backprop_data(
        opset8.transpose(image, [0, 3, 1, 2]),
        filters,
        strides=[height, width],
        pads_begin=[0, 0],
        pads_end=[0, 0],
        dilations=[1, 1],
    )
    return [opset8.add(opset8.transpose(planes, [0, 2, 3, 1]), bias).output(0)]
