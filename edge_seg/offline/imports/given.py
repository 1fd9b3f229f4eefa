"""What the operator said of a network, and what is proposed where nothing was said."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """The options of ``model add`` and ``model import`` that describe a network; None = not given.

    Attributes:
        input_name: tensor, where there are several.
        input_size: WIDTHxHEIGHT.
        input_layout: NCHW or NHWC.
        input_dtype: of TensorRT engines, which cannot be read.
        color_order: rgb or bgr.
        normalise: a preset, or MEAN,../STD,..[/SCALE].
        resize: stretch, letterbox or center_crop.
        anchor: of a letterboxed image: center or top_left.
        pad_value: gray level around a letterboxed image.
        output_name: tensor, where there are several.
        output_layout: NCHW, NHWC, NHW or HW.
        output_kind: logits, probabilities, sigmoid, sigmoid_logits or labels.
        threshold: probability from which a sigmoid says class 1.
        ignore_id: id in a label output that means no class.
        resample: labels or logits.
        classes: a label set, names with commas, or @FILE.
    """

    input_name: str | None = None
    input_size: str | None = None
    input_layout: str | None = None
    input_dtype: str | None = None
    color_order: str | None = None
    normalise: str | None = None
    resize: str | None = None
    anchor: str | None = None
    pad_value: str | None = None
    output_name: str | None = None
    output_layout: str | None = None
    output_kind: str | None = None
    threshold: str | None = None
    ignore_id: str | None = None
    resample: str | None = None
    classes: str | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """An answer that is proposed.

    Attributes:
        text: what the option would say; None = nothing is proposed.
        because: where it comes from.
        assumed: a guess; False when the file says it.
    """

    text: str | None
    because: str = ''
    assumed: bool = True


NO_HINT = Hint(None)


@dataclass(frozen=True, slots=True)
class Hints:
    """What is proposed for the things that inputs and outputs of a file do not tell."""

    color_order: Hint = NO_HINT
    normalise: Hint = NO_HINT
    resize: Hint = Hint('stretch', 'the default')
    output_layout: Hint = NO_HINT
    kind: Hint = NO_HINT
    classes: Hint = NO_HINT
