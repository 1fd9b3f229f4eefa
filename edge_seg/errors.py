"""The exceptions of edge_seg: each says what was met, what was expected and what to do."""

from enum import Enum


class DropReason(Enum):
    """Why a camera frame got no mask; the values are the names used in diagnostics."""

    UNSUPPORTED_ENCODING = 'unsupported_encoding'
    TRUNCATED_DATA = 'truncated_data'
    ZERO_SIZE = 'zero_size'
    ABSURD_SIZE = 'absurd_size'
    WRONG_STEP = 'wrong_step'
    UNDECODABLE = 'undecodable'
    SUPERSEDED = 'superseded'
    STALE = 'stale'
    OVER_RATE = 'over_rate'
    NO_SUBSCRIBER = 'no_subscriber'
    NO_MODEL = 'no_model'
    INFERENCE_ERROR = 'inference_error'
    INTERNAL_ERROR = 'internal_error'


class LoadStage(Enum):
    """A step on the way from a model's name to a model that serves, in order."""

    RESOLVE = 'resolve'
    VERIFY = 'verify'
    BUILD = 'build'
    LOAD = 'load'
    CHECK = 'check'
    WARM = 'warm'
    SWAP = 'swap'
    PROBATION = 'probation'


class EdgeSegError(Exception):
    """Root of the tree.

    Args:
        met: what was found, as a fact ('mask.onnx has 3 outputs').
        expected: what would have been right ('one output'); may be empty.
        remedy: what the reader can do ('name one with output.name'); may be empty.
    """

    def __init__(self, met: str, *, expected: str = '', remedy: str = '') -> None:
        self.met = met
        self.expected = expected
        self.remedy = remedy
        parts = [met]
        if expected:
            parts.append(f'expected {expected}')
        if remedy:
            parts.append(remedy)
        super().__init__('; '.join(parts))


class SettingsInvalid(EdgeSegError):
    """A parameter has a value that cannot be used."""


class OptionInvalid(EdgeSegError):
    """An option of a tool is missing, or has a value that cannot be used."""


class FrameRejected(EdgeSegError):
    """A camera frame cannot be used; the stream goes on."""

    def __init__(
        self, reason: DropReason, met: str, *, expected: str = '', remedy: str = ''
    ) -> None:
        super().__init__(met, expected=expected, remedy=remedy)
        self.reason = reason


class SourceUnavailable(EdgeSegError):
    """A camera, video, folder or bag cannot be opened or read."""


class ModelError(EdgeSegError):
    """Anything wrong with a model or its store."""


class ModelNotFound(ModelError):
    """No model answers to the name, version, label or path that was asked for."""


class ManifestInvalid(ModelError):
    """A manifest breaks its schema or contradicts itself.

    Args:
        file: path of the manifest as text.
        field: dotted path of the field ('input.mean'), '' for the whole file.
        found: what stands there.
        expected: what should stand there.
        remedy: what to do; may be empty.
    """

    def __init__(
        self, *, file: str, field: str, found: str, expected: str, remedy: str = ''
    ) -> None:
        where = f'{file}: {field}' if field else file
        super().__init__(f'{where}: found {found}', expected=expected, remedy=remedy)
        self.file = file
        self.field = field
        self.found = found


class IntegrityError(ModelError):
    """An artifact or manifest is not the one that was published (digest, signature, path)."""


class StoreError(ModelError):
    """The model store cannot be used or changed as asked."""


class BackendUnavailable(EdgeSegError):
    """A backend, its SDK, its driver or its device is missing; the remedy is the install hint."""


class CompileFailed(ModelError):
    """A backend refused to turn an artifact into something that runs."""


class MemoryShort(CompileFailed):
    """There is too little memory just now to compile or load a model."""


class NotBuilt(CompileFailed):
    """A model was not compiled for this machine, which takes too long to be done unasked."""


class PrebuiltUnusable(CompileFailed):
    """A file compiled ahead is damaged, or of another machine or version; a new one would load."""


class IncompatibleModel(ModelError):
    """What a model declares and what its artifact really has do not agree."""


class UnsupportedNetwork(ModelError):
    """A network is of a kind that cannot be served: several inputs, volumes, no map as output."""


class InferenceFailed(EdgeSegError):
    """A backend failed on one frame."""


class NoActiveModel(EdgeSegError):
    """There is no model to run: none was loaded, or the last one was withdrawn."""


class LoadInProgress(EdgeSegError):
    """A model is being loaded; a second request must wait for it."""


class ModelRejected(ModelError):
    """A candidate was refused at a named stage; whatever served before serves on."""

    def __init__(
        self, stage: LoadStage, met: str, *, expected: str = '', remedy: str = ''
    ) -> None:
        super().__init__(f'{stage.value}: {met}', expected=expected, remedy=remedy)
        self.stage = stage


class TransitionFailed(EdgeSegError):
    """A managed lifecycle node did not reach the state it was asked for."""


class RegistryUnavailable(EdgeSegError):
    """A registry of models does not answer, refuses the user, or lacks what it needs here."""


class KpiUnavailable(EdgeSegError):
    """The database of measured runs cannot be opened, read or written to."""


class AccuracyLost(ModelError):
    """An optimised model is further from its original than was allowed."""
