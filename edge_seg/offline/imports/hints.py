"""What is proposed for a network whose file does not say how it was trained."""

from pathlib import Path

from edge_seg.errors import UnsupportedNetwork
from edge_seg.offline.imports.answers import converted, Question, to_classes
from edge_seg.offline.imports.given import GivenOptions, Hint, Hints, NO_HINT
from edge_seg.offline.imports.network import Ending, NetworkFacts
from edge_seg.offline.imports.output_draft import channels_of, guess_layout
from edge_seg.offline.imports.presets import label_sets

IN_THE_FILE = 'written in the file'
MAX_CLASSES = 65535


def propose(facts: NetworkFacts, given: GivenOptions, source: str) -> Hints:
    """Propose what a file does not say.

    Args:
        facts: what it says.
        given: options; the number of classes may hang on the output layout.
        source: name of the original file or factory.

    Raises:
        OptionInvalid: the classes cannot be read.
        UnsupportedNetwork: there are more classes than a mask can tell apart.
    """
    layout = _output_layout(facts, given)
    channels = channels_of(facts.output, given.output_layout or layout.text)
    if max(channels, facts.classes) > MAX_CLASSES:
        raise UnsupportedNetwork(
            f'output {facts.output} has {max(channels, facts.classes)} classes',
            expected=f'at most {MAX_CLASSES}',
        )
    written = facts.written
    return Hints(
        color_order=_color_order(facts),
        normalise=_normalise(facts, source),
        resize=(
            Hint(written.resize, IN_THE_FILE, assumed=False)
            if written.resize
            else Hint('stretch', 'the default')
        ),
        output_layout=layout,
        kind=_kind(facts, channels),
        classes=_classes(facts, channels),
    )


def _output_layout(facts: NetworkFacts, given: GivenOptions) -> Hint:
    """Take the axes for the image's that have its aspect ratio; else guess by their lengths."""
    because = f'the shape of output {facts.output}'
    guess = guess_layout(facts.output, _count_given(given))
    shape, image = facts.output.shape or (), facts.input.shape or ()
    if len(shape) < 3 or guess == 'NHW':
        return Hint(guess, because, assumed=False)
    channels_last = image[-1] in (1, 3) and image[1] not in (1, 3)
    height, width = image[1:3] if channels_last else image[2:4]
    first = shape[-2] * width == shape[-1] * height
    last = shape[-3] * width == shape[-2] * height
    if first != last:
        return Hint('NCHW' if first else 'NHWC', because, assumed=False)
    if guess is not None:
        return Hint(guess, because, assumed=False)
    return Hint('NHWC' if channels_last else 'NCHW', 'as in the input')


def _count_given(given: GivenOptions) -> int:
    if given.classes is None:
        return 0
    return len(converted(Question('--classes', '', to_classes), given.classes))


def _color_order(facts: NetworkFacts) -> Hint:
    if facts.written.color_order:
        return Hint(facts.written.color_order, IN_THE_FILE, assumed=False)
    return Hint('rgb', 'what most networks are trained on')


def _normalise(facts: NetworkFacts, source: str) -> Hint:
    if facts.written.normalise:
        return Hint(facts.written.normalise, IN_THE_FILE, assumed=False)
    if facts.normalises:
        return Hint('raw', 'the graph begins with a sum or product of its own')
    if 1 in (facts.input.shape or ())[1::2]:
        return Hint('unit', 'usual for one channel')
    if Path(source).suffix.lower() == '.tflite':
        return Hint('signed-unit', 'usual for TFLite')
    return Hint('imagenet', 'usual for networks with three channels')


def _kind(facts: NetworkFacts, channels: int) -> Hint:
    if facts.ending is Ending.SOFTMAX:
        return Hint('probabilities', 'the graph ends with a softmax', assumed=False)
    if facts.ending is Ending.SIGMOID and channels == 1:
        return Hint('sigmoid', 'the graph ends with a sigmoid', assumed=False)
    if facts.ending is Ending.SIGMOID:
        return Hint('probabilities', 'the graph ends with a sigmoid; the highest class wins')
    kind = 'sigmoid_logits' if channels == 1 else 'logits'
    return Hint(kind, 'the graph ends without softmax, sigmoid or argmax', assumed=False)


def _classes(facts: NetworkFacts, channels: int) -> Hint:
    written = facts.written.classes
    count = _class_count(facts, channels)
    if written and count in (0, len(written)) and not any(',' in name for name in written):
        return Hint(','.join(written), IN_THE_FILE, assumed=False)
    if count == 0:
        return NO_HINT
    if count == 2:
        return Hint('background,foreground', 'two classes; their names are not in the file')
    for name, labels in label_sets().items():
        if len(labels.classes) == count:
            return Hint(name, f'{count} classes, as many as {labels.about.partition(",")[0]} has')
    names = ','.join(f'class-{index}' for index in range(count))
    return Hint(names, f'{count} classes; their names are not in the file')


def _class_count(facts: NetworkFacts, channels: int) -> int:
    if facts.ending is Ending.ARGMAX:
        return facts.classes
    if facts.ending is Ending.THRESHOLD or (channels == 1 and facts.output.dtype == 'bool'):
        return 2
    if facts.output.dtype.startswith(('int', 'uint')):
        return 0
    return 2 if channels == 1 else channels
