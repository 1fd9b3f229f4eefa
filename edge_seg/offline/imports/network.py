"""What is known of a network from its file, and the one form in which it is imported.

That form has one image as input, every axis fixed, a batch of one, and one output.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Literal

from edge_seg.backends.file_info import FoundTensor, listed
from edge_seg.core.values import ArtifactFormat, Size
from edge_seg.errors import OptionInvalid, UnsupportedNetwork

ImageLayout = Literal['NCHW', 'NHWC']
INPUT_DTYPES = ('float32', 'float16', 'uint8')


class Ending(Enum):
    """The last operation of a graph that says what its output means."""

    NONE = 'none'
    SOFTMAX = 'softmax'
    SIGMOID = 'sigmoid'
    ARGMAX = 'argmax'
    THRESHOLD = 'threshold'


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator says of a network before it is read.

    Attributes:
        size: of the input, where the file leaves it open.
        layout: of the input, where the file does not tell.
        output: name of the output, where there are several.
    """

    size: Size | None = None
    layout: ImageLayout | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenDown:
    """What an exporter wrote into the file beside the network; '' and () = nothing.

    Attributes:
        classes: names in the order of their ids.
        normalise: 'MEAN,../STD,../SCALE'.
        color_order: 'rgb' or 'bgr'.
        resize: a resize mode.
    """

    classes: tuple[str, ...] = ()
    normalise: str = ''
    color_order: str = ''
    resize: str = ''


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """A network as it will be published.

    Attributes:
        file: the .onnx or .xml, in the form of this module.
        format: of ``file``.
        input: the image.
        output: the map.
        ending: what the graph does last.
        classes: channels that an argmax at the end chooses from; 0 = no argmax, or not known.
        normalises: constants are subtracted from the pixels, or multiplied, inside.
        written: what else stands in the file.
        changes: what was changed of the original, in words.
    """

    file: Path
    format: ArtifactFormat
    input: FoundTensor
    output: FoundTensor
    ending: Ending = Ending.NONE
    classes: int = 0
    normalises: bool = False
    written: WrittenDown = field(default=WrittenDown())
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PinnedInput:
    """An input with every axis fixed.

    Attributes:
        tensor: the image; 3 axes when the file has no batch axis.
        changes: what was fixed, in words.
    """

    tensor: FoundTensor
    changes: tuple[str, ...]

    @property
    def batchless(self) -> bool:
        """The batch axis is missing."""
        return len(self.tensor.shape or ()) == 3


def pin_input(tensor: FoundTensor, wish: Wish) -> PinnedInput:
    """Fix the axes that a file leaves open.

    Raises:
        OptionInvalid: the size or the layout is needed, or contradicts the file.
        UnsupportedNetwork: it is no single image of 1 or 3 channels in a type that can be fed.
    """
    if tensor.dtype not in INPUT_DTYPES:
        raise UnsupportedNetwork(
            f'input {tensor} is {tensor.dtype}',
            expected=' or '.join(INPUT_DTYPES),
            remedy='export it again in one of these types',
        )
    shape = _four_axes(tensor)
    layout = wish.layout or _layout(tensor, shape)
    names = dict(zip(layout, range(4), strict=True))
    axes = list(shape)
    axes[0] = 1
    if axes[names['C']] == -1:
        axes[names['C']] = 3
    if axes[names['C']] not in (1, 3):
        raise UnsupportedNetwork(
            f'input {tensor} has {axes[names["C"]]} channels',
            expected='1 (gray) or 3 (colour)',
            remedy='depth, infrared and stacked frames are not supported',
        )
    for axis, length in zip('WH', wish.size or (-1, -1), strict=True):
        axes[names[axis]] = _side(tensor, axes[names[axis]], length)
    changes = []
    if shape[0] == -1:
        changes.append('the batch is fixed to 1')
    if -1 in shape[1:]:
        changes.append(f'the size is fixed to {axes[names["W"]]}x{axes[names["H"]]}')
    fixed = tuple(axes[4 - len(tensor.shape or ()) :])
    return PinnedInput(replace(tensor, shape=fixed), tuple(changes))


def choose_output(outputs: Sequence[FoundTensor], wanted: str | None) -> FoundTensor:
    """Return the output to import.

    Raises:
        OptionInvalid: there are several and none was named, or none has that name.
    """
    if wanted is None and len(outputs) == 1:
        return outputs[0]
    found = next((each for each in outputs if each.name == wanted), None)
    if found is not None:
        return found
    names = listed(tuple(outputs))
    if wanted is None:
        raise OptionInvalid(f'the network has {len(outputs)} outputs: {names}', remedy=CHOOSE)
    raise OptionInvalid(f'--output: {wanted!r} is none of the outputs {names}')


CHOOSE = 'name the one that is the mask with --output'


def the_image(inputs: Sequence[FoundTensor], output: str) -> FoundTensor:
    """Return the only input.

    Raises:
        UnsupportedNetwork: there are several or none.
    """
    if len(inputs) == 1:
        return inputs[0]
    raise UnsupportedNetwork(
        f'output {output!r} is computed from {len(inputs)} inputs: {listed(tuple(inputs))}',
        expected='one image',
        remedy='export the network with the other inputs fixed',
    )


def check_map(output: FoundTensor) -> None:
    """Refuse an output that cannot be a map of classes.

    Raises:
        UnsupportedNetwork: by its axes or its number of channels.
    """
    shape = output.shape
    if shape is None or min(shape, default=0) < 1:
        raise UnsupportedNetwork(
            f'output {output} has a size that depends on what is in the picture',
            expected='every axis fixed once the size of the input is',
            remedy='export the network without post-processing, or choose another --output',
        )
    if len(shape) not in (2, 3, 4) or min(sorted(shape)[-2:]) < 2:
        kind = 'volumes are not supported' if len(shape) > 4 else 'it classifies whole pictures'
        raise UnsupportedNetwork(
            f'output {output} is no map with a class for each pixel ({kind})',
            remedy='choose another --output',
        )


def _four_axes(tensor: FoundTensor) -> tuple[int, ...]:
    shape = tensor.shape
    if shape is None or len(shape) not in (3, 4):
        met = f'input {tensor} has {"no known number of" if shape is None else len(shape)} axes'
        raise UnsupportedNetwork(
            met,
            expected='one image: 3 axes, or 4 with the batch',
            remedy='volumes, videos and feature vectors are not supported',
        )
    if len(shape) == 3:
        return (1, *shape)
    if shape[0] not in (1, -1):
        raise UnsupportedNetwork(
            f'input {tensor} takes {shape[0]} images at once',
            expected='a batch of 1, or an open one',
            remedy='export it again',
        )
    return shape


def _layout(tensor: FoundTensor, shape: tuple[int, ...]) -> ImageLayout:
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first == last and -1 not in (shape[1], shape[3]) and not first:
        raise UnsupportedNetwork(
            f'input {tensor} has {min(shape[1], shape[3])} channels',
            expected='1 (gray) or 3 (colour)',
            remedy='depth, infrared and stacked frames are not supported',
        )
    if first == last:
        raise OptionInvalid(
            f'input {tensor} does not tell which axis is the colour',
            remedy='pass --input-layout NCHW or NHWC',
        )
    return 'NCHW' if first else 'NHWC'


def _side(tensor: FoundTensor, met: int, wanted: int) -> int:
    if met == -1 and wanted == -1:
        raise OptionInvalid(
            f'input {tensor} leaves its size open', remedy='pass --input-size WIDTHxHEIGHT'
        )
    if -1 not in (met, wanted) and met != wanted:
        raise OptionInvalid(
            f'--input-size: the file fixes input {tensor}',
            remedy='leave the option out, or export the network with open axes',
        )
    return max(met, wanted)
