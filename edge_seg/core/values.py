"""The values that cross module borders: images, model specifications, tensors."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
LabelArray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
AnyArray = npt.NDArray[np.generic]

UNLABELLED_8 = 255
"""Label of pixels without a class in an 8-bit mask (vision_msgs/LabelInfo UNLABELED)."""
UNLABELLED_16 = 65535
"""The same in a 16-bit mask, used when a model has more than 255 classes."""
MAX_CLASSES_8 = 255


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class RawImage:
    """An uncompressed image as it travels in sensor_msgs/Image; nothing is checked yet.

    Attributes:
        width: pixels in a row.
        height: rows.
        encoding: sensor_msgs name, e.g. 'rgb8', 'bayer_rggb8', 'yuv422_yuy2'.
        step: bytes from one row to the next, padding included.
        data: any object with the buffer protocol (array.array, bytes, memoryview, ndarray).
        is_bigendian: byte order of 16-bit encodings.
    """

    width: int
    height: int
    encoding: str
    step: int
    data: object
    is_bigendian: bool = False


@dataclass(frozen=True, slots=True)
class CompressedImage:
    """A compressed image as in sensor_msgs/CompressedImage ('jpeg', 'png', 'rgb8; jpeg ...')."""

    format: str
    data: object


ColorOrder = Literal['rgb', 'bgr', 'rgba', 'bgra', 'gray']


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Pixels ready to be resized.

    Attributes:
        pixels: uint8, (H, W, 3), (H, W, 4) or, for gray, (H, W). May be a read-only view of the
            message with padded rows; never written to.
        order: meaning of the channels.
    """

    pixels: UInt8Array
    order: ColorOrder

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return Size(int(self.pixels.shape[1]), int(self.pixels.shape[0]))


class ResizeMode(Enum):
    """How a camera image is brought to the size that a network wants."""

    STRETCH = 'stretch'
    LETTERBOX = 'letterbox'
    CENTER_CROP = 'center_crop'


@dataclass(frozen=True, slots=True)
class ResizeRule:
    """The resize rule of a model.

    Attributes:
        mode: stretch (both axes on their own), letterbox (aspect kept, padded) or center_crop
            (aspect kept, the overhanging ends cut; they come back unlabelled).
        pad_value: gray level 0-255 around a letterboxed image, before normalisation.
        anchor: where a letterboxed image lies in the padded frame.
    """

    mode: ResizeMode = ResizeMode.STRETCH
    pad_value: int = 114
    anchor: Literal['center', 'top_left'] = 'center'


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a network's image input expects.

    The value of a channel is ``(pixel / scale - mean) / std`` with pixel in 0-255.

    Attributes:
        name: tensor name in the artifact.
        size: width and height of the network input in pixels.
        layout: axis order of the batch-of-one tensor.
        dtype: 'uint8' means that the artifact takes raw pixels and normalises by itself.
        color_order: channel order ('gray' is one channel).
        mean: per channel, in units of pixel / scale.
        std: per channel, same units, none zero.
        scale: divisor of the pixel value, usually 255.
        resize: how the camera image is fitted.
    """

    name: str
    size: Size
    layout: Literal['NCHW', 'NHWC'] = 'NCHW'
    dtype: Literal['float32', 'float16', 'uint8'] = 'float32'
    color_order: Literal['rgb', 'bgr', 'gray'] = 'rgb'
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    scale: float = 255.0
    resize: ResizeRule = ResizeRule()

    @property
    def channels(self) -> int:
        """Number of colour channels, 1 or 3."""
        return 1 if self.color_order == 'gray' else 3


class OutputKind(Enum):
    """What the numbers in a network's output mean."""

    LOGITS = 'logits'
    """One score per class, not normalised."""
    PROBABILITIES = 'probabilities'
    """One score per class, summing to one (softmax inside the network)."""
    SIGMOID = 'sigmoid'
    """One channel, probability 0-1 of class 1 against class 0."""
    SIGMOID_LOGITS = 'sigmoid_logits'
    """One channel, the value before the sigmoid."""
    LABELS = 'labels'
    """Class ids (argmax inside the network), integer dtype."""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """What a network's output means and how it becomes a mask.

    Attributes:
        name: tensor name in the artifact.
        kind: meaning of the values.
        layout: axis order. Score outputs: NCHW or NHWC. Labels and one-channel outputs may also
            be NHW or HW.
        resample: 'labels' takes the winner in the network's resolution and scales it by nearest
            neighbour; 'logits' scales the scores bilinearly and takes the winner afterwards
            (smoother, dearer; has no meaning for label outputs).
        threshold: probability from which a one-channel output is class 1.
        ignore_id: id in a label output that means 'no class'; becomes 255 / 65535.
    """

    name: str
    kind: OutputKind = OutputKind.LOGITS
    layout: Literal['NCHW', 'NHWC', 'NHW', 'HW'] = 'NCHW'
    resample: Literal['labels', 'logits'] = 'labels'
    threshold: float = 0.5
    ignore_id: int | None = None


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """One class: id is its position in the table, color is RGB 0-255."""

    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything the frame path needs to know of a model, free of files."""

    name: str
    version: str
    input: InputSpec
    output: OutputSpec
    classes: tuple[ClassInfo, ...]

    @property
    def unlabelled(self) -> int:
        """The label of pixels without a class: 255, or 65535 above 255 classes."""
        return UNLABELLED_8 if len(self.classes) <= MAX_CLASSES_8 else UNLABELLED_16

    @property
    def label_dtype(self) -> npt.DTypeLike:
        """np.uint8, or np.uint16 above 255 classes."""
        return np.uint8 if len(self.classes) <= MAX_CLASSES_8 else np.uint16


TensorLayout = Literal['NCHW', 'NHWC', 'NHW', 'HW']


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a compiled model, as the caller must fill or read it.

    Attributes:
        name: tensor name.
        shape: all axes, batch of one included where the layout has one.
        dtype: NumPy name, e.g. 'uint8', 'float32', 'int64'.
        layout: axis order.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: TensorLayout


class ArtifactFormat(Enum):
    """File formats that a backend may take."""

    ONNX = 'onnx'
    OPENVINO_IR = 'openvino_ir'
    TFLITE = 'tflite'
    TENSORRT_ENGINE = 'tensorrt_engine'
