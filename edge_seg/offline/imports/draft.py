"""What a model file says of itself, completed by answers to a specification."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_seg.backends.file_info import FoundTensor, listed
from edge_seg.core.values import ClassInfo, InputSpec, OutputSpec
from edge_seg.offline.imports.answers import Interview, one_of, Question, to_classes, to_text
from edge_seg.offline.imports.given import GivenOptions, Hints
from edge_seg.offline.imports.input_draft import draft_input
from edge_seg.offline.imports.output_draft import draft_output

NO_HINTS = Hints()


@dataclass(frozen=True, slots=True)
class Draft:
    """A network's specification without name and version."""

    input: InputSpec
    output: OutputSpec
    classes: tuple[ClassInfo, ...]


def draft(
    inputs: Sequence[FoundTensor],
    outputs: Sequence[FoundTensor],
    given: GivenOptions,
    interview: Interview,
    hints: Hints = NO_HINTS,
) -> Draft | None:
    """Complete what the file says; None when answers are missing.

    Args:
        inputs: inputs as the file has them; empty when it cannot be read (TensorRT plans).
        outputs: the same of its outputs.
        given: options.
        interview: asks for the rest.
        hints: what is proposed there.

    Raises:
        OptionInvalid: an option contradicts the file, or cannot be used.
    """
    image = _tensor(inputs, given.input_name, interview, ('--input-name', 'input'))
    scores = _tensor(outputs, given.output_name, interview, ('--output-name', 'output'))
    spec = draft_input(image, given, interview, hints)
    text = 'classes by id: a,b,c with #rrggbb if wanted, a label set, or @FILE'
    classes = interview.ask(
        Question(
            '--classes',
            text,
            to_classes,
            hints.classes.text,
            hints.classes.because,
            hints.classes.assumed,
        ),
        given.classes,
    )
    output = draft_output(scores, len(classes or ()), given, interview, hints)
    if spec is None or output is None or classes is None:
        return None
    return Draft(spec, output, classes)


def _tensor(
    found: Sequence[FoundTensor],
    given: str | None,
    interview: Interview,
    words: tuple[str, str],
) -> FoundTensor | None:
    option, what = words
    names = [tensor.name for tensor in found]
    if len(found) == 1 and given is None:
        return found[0]
    if not found:
        name = interview.ask(Question(option, f'name of the {what} tensor', to_text), given)
        return None if name is None else FoundTensor(name, None, '')
    text = f'which {what}: {listed(tuple(found))}'
    name = interview.ask(Question(option, text, one_of(names)), given)
    return next((tensor for tensor in found if tensor.name == name), None)
