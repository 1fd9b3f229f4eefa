"""The node of the endurance benchmark fails with two versions, each at its stage."""

from types import SimpleNamespace
from typing import Any

from edge_seg.cli.bench.counted_node import misfit, MISFIT_VERSION, mute, MUTE_VERSION
from edge_seg.core.values import TensorSpec
import pytest

SPEC: Any = SimpleNamespace(version='1')
SHAPE = (1, 4, 12, 16)


def test_one_version_has_outputs_that_do_not_fit() -> None:
    class Backend:
        def compile_model(self, artifact: Any, spec: Any, options: Any) -> Any:
            return SimpleNamespace(outputs=(TensorSpec('scores', SHAPE, 'float32', 'NCHW'),))

    misfit(Backend)  # type: ignore[arg-type]
    made = [
        Backend().compile_model(None, SimpleNamespace(version=version), None).outputs[0].shape
        for version in ('1', MISFIT_VERSION)
    ]
    assert made == [SHAPE, (*SHAPE, 2)]


def test_the_labels_of_one_version_cannot_be_published() -> None:
    published: list[str] = []

    class Announcements:
        def classes(self, spec: Any) -> None:
            published.append(spec.version)

    mute(Announcements)  # type: ignore[arg-type]
    Announcements().classes(SPEC)
    with pytest.raises(RuntimeError, match='cannot be published'):
        Announcements().classes(SimpleNamespace(version=MUTE_VERSION))
    assert published == ['1']
