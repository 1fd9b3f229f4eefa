"""What is decided before a build, without any SDK: types, precision, progress, command lines."""

from contextlib import suppress
from pathlib import Path

from edge_seg.backends.build_progress import BuildProgress
from edge_seg.backends.tensorrt.building.config import Limits
from edge_seg.backends.tensorrt.building.monitor import ProgressBook
from edge_seg.backends.tensorrt.building.network import NetworkFacts, read_network
from edge_seg.backends.tensorrt.building.options import BuildOptions
from edge_seg.backends.tensorrt.building.precision import plan_precision, PrecisionPlan
from edge_seg.backends.tensorrt.building.trtexec import trtexec_lines
from edge_seg.errors import CompileFailed
from hypothesis import example, given, strategies
import numpy as np
import onnx
import pytest
from tiny_models import quantised, TinyModel

TEN = {
    'BuilderFlag.FP16', 'BuilderFlag.INT8', 'BuilderFlag.BF16',
    'NetworkDefinitionCreationFlag.STRONGLY_TYPED',
}  # fmt: skip
EIGHT = {'BuilderFlag.FP16', 'BuilderFlag.INT8'}
ELEVEN = {'NetworkDefinitionCreationFlag.STRONGLY_TYPED'}


def facts(precision: str) -> NetworkFacts:
    return NetworkFacts(Path('net.onnx'), precision, '0' * 64)


@pytest.mark.parametrize(
    ('model', 'precision'),
    [(TinyModel(), 'fp32'), (TinyModel(input_dtype='float16'), 'fp16')],
)
def test_the_types_of_a_network_are_read_from_its_weights(
    tmp_path: Path, model: TinyModel, precision: str
) -> None:
    assert read_network(model.save(tmp_path / 'net.onnx')).precision == precision


def test_a_network_with_quantising_nodes_is_int8(tmp_path: Path) -> None:
    onnx.save(quantised(TinyModel()), tmp_path / 'net.onnx')
    assert read_network(tmp_path / 'net.onnx').precision == 'int8'


def test_a_network_of_both_kinds_is_mixed(tmp_path: Path) -> None:
    proto = TinyModel().proto()
    half = onnx.numpy_helper.from_array(np.zeros(12, np.float16), 'half')
    proto.graph.node.append(onnx.helper.make_node('Constant', [], ['h'], value=half))
    onnx.save(proto, tmp_path / 'net.onnx')
    assert read_network(tmp_path / 'net.onnx').precision == 'mixed'


def test_the_digest_covers_external_data(tmp_path: Path) -> None:
    proto = TinyModel().proto()
    path = tmp_path / 'net.onnx'
    onnx.save(proto, path, save_as_external_data=True, location='net.data', size_threshold=0)
    before = read_network(path)
    assert before.precision == 'fp32'
    data = bytearray((tmp_path / 'net.data').read_bytes())
    data[0] ^= 1
    (tmp_path / 'net.data').write_bytes(data)
    assert read_network(path).sha256 != before.sha256
    (tmp_path / 'net.data').unlink()
    with pytest.raises(CompileFailed, match='external data'):
        read_network(path)


def test_external_data_outside_the_folder_is_not_followed(tmp_path: Path) -> None:
    inner = tmp_path / 'inner'
    inner.mkdir()
    proto = TinyModel().proto()
    onnx.save(
        proto, inner / 'net.onnx', save_as_external_data=True, location='x', size_threshold=0
    )
    changed = onnx.load(inner / 'net.onnx', load_external_data=False)
    for tensor in changed.graph.initializer:
        for entry in tensor.external_data:
            entry.value = '../x' if entry.key == 'location' else entry.value
    onnx.save(changed, inner / 'net.onnx')
    with pytest.raises(CompileFailed, match='outside its folder'):
        read_network(inner / 'net.onnx')


@given(strategies.binary(max_size=60))
@example(b'')
@example(b'\x08\x09')  # a version and no graph
def test_no_bytes_bring_the_reader_down(tmp_path_factory: object, content: bytes) -> None:
    path = tmp_path_factory.mktemp('onnx') / 'net.onnx'  # type: ignore[attr-defined]
    path.write_bytes(content)
    with suppress(CompileFailed):  # and nothing else
        read_network(path)


@pytest.mark.parametrize(
    ('has', 'network', 'wanted', 'plan'),
    [
        (TEN, 'fp32', 'auto', PrecisionPlan('fp32')),
        (TEN, 'fp32', 'fp32', PrecisionPlan('fp32', tf32=False)),
        (ELEVEN, 'fp32', 'fp32', PrecisionPlan('fp32', tf32=False)),
        (TEN, 'fp32', 'fp16', PrecisionPlan('fp16', flags=('BuilderFlag.FP16',))),
        (TEN, 'fp32', 'bf16', PrecisionPlan('bf16', flags=('BuilderFlag.BF16',))),
        (TEN, 'fp16', 'auto', PrecisionPlan('fp16', strongly_typed=True)),
        (ELEVEN, 'fp16', 'fp16', PrecisionPlan('fp16', strongly_typed=True)),
        (EIGHT, 'fp16', 'fp16', PrecisionPlan('fp16', flags=('BuilderFlag.FP16',))),
        (ELEVEN, 'int8', 'auto', PrecisionPlan('int8', strongly_typed=True)),
        (
            EIGHT, 'int8', 'int8',
            PrecisionPlan('int8', flags=('BuilderFlag.INT8', 'BuilderFlag.FP16')),
        ),
        (ELEVEN, 'mixed', 'auto', PrecisionPlan('mixed', strongly_typed=True)),
    ],
)  # fmt: skip
def test_a_precision_is_reached_as_this_version_can(
    has: set[str], network: str, wanted: str, plan: PrecisionPlan
) -> None:
    assert plan_precision(wanted, facts(network), has.__contains__, on_dla=False) == plan


@pytest.mark.parametrize(
    ('has', 'network', 'wanted', 'reason'),
    [
        (ELEVEN, 'fp32', 'fp16', 'autocast'),
        (EIGHT, 'fp32', 'bf16', 'cannot lower it to bf16'),
        (EIGHT, 'bf16', 'auto', 'computes in bf16'),
        (TEN, 'fp32', 'int8', 'Q/DQ'),
        (TEN, 'fp16', 'fp32', 'computes in fp16'),
        (TEN, 'fp16', 'int8', 'Q/DQ'),
        (TEN, 'int8', 'fp16', 'computes in int8'),
        (TEN, 'mixed', 'fp32', 'computes in mixed'),
    ],
)
def test_a_precision_that_cannot_be_reached_is_refused(
    has: set[str], network: str, wanted: str, reason: str
) -> None:
    with pytest.raises(CompileFailed, match=reason) as caught:
        plan_precision(wanted, facts(network), has.__contains__, on_dla=False)
    assert caught.value.remedy


def test_an_accelerator_is_used_by_flags_where_there_are_flags() -> None:
    ten = plan_precision('fp16', facts('fp16'), TEN.__contains__, on_dla=True)
    assert ten == PrecisionPlan('fp16', flags=('BuilderFlag.FP16',))
    assert plan_precision('fp16', facts('fp16'), ELEVEN.__contains__, on_dla=True).strongly_typed


@given(
    strategies.lists(
        strategies.tuples(strategies.sampled_from('abc'), strategies.integers(1, 6)), max_size=40
    )
)
def test_the_share_stays_between_0_and_1_and_never_falls(events: list[tuple[str, int]]) -> None:
    shares: list[float] = []

    def note(progress: BuildProgress) -> bool:
        shares.append(progress.share or 0.0)
        return True

    now = iter(range(1000))
    book = ProgressBook(note, clock=lambda: float(next(now)))
    for name, number in events:
        if number == 1:
            book.start(name, '' if name == 'a' else 'a', 3)
        elif number == 6:
            book.finish(name)
        else:
            assert book.step(name, number)
    assert shares == sorted(shares)
    assert all(0.0 <= share <= 1.0 for share in shares)


def test_progress_is_not_reported_more_often_than_people_can_read() -> None:
    seen: list[BuildProgress] = []
    book = ProgressBook(lambda p: seen.append(p) is None, clock=lambda: 5.0)
    book.start('building', '', 1000)
    for step in range(1000):
        book.step('building', step)
    assert len(seen) == 1


def test_progress_survives_the_way_between_processes() -> None:
    for progress in (BuildProgress('building', 0.25, 3.5), BuildProgress('reading', None, 0.0)):
        assert BuildProgress.from_json(progress.to_json()) == progress
    assert str(BuildProgress('building', 0.25, 63.4)) == 'building 25%, 63 s'


def test_command_lines_are_given_for_both_versions() -> None:
    limits = Limits(BuildOptions(), PrecisionPlan('fp16', flags=('BuilderFlag.FP16',)), 1 << 30)
    lines = trtexec_lines(Path('n.onnx'), Path('n.plan'), limits, device=0, shape=None)
    assert lines.tensorrt_10 == (
        'trtexec --onnx=n.onnx --saveEngine=n.plan --memPoolSize=workspace:1024M '
        '--builderOptimizationLevel=3 --profilingVerbosity=detailed --device=0 --skipInference '
        '--fp16'
    )
    assert lines.tensorrt_11 == ''  # no precision flags there: it takes another file


def test_a_typed_network_is_built_by_both_versions() -> None:
    options = BuildOptions(dla_core=1, timing_cache=Path('t'))
    limits = Limits(options, PrecisionPlan('fp16', strongly_typed=True), 1 << 20)
    lines = trtexec_lines(
        Path('n.onnx'), Path('n.plan'), limits, device=1, shape=('image', (1, 3, 8, 12))
    )
    assert lines.tensorrt_10 == f'{lines.tensorrt_11} --stronglyTyped'
    assert '--minShapes=image:1x3x8x12 --optShapes=image:1x3x8x12' in lines.tensorrt_11
    assert '--timingCacheFile=t --useDLACore=1 --allowGPUFallback' in lines.tensorrt_11
