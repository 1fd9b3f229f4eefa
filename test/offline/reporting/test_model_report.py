"""The report of a model: everything in one file, and nothing from strangers that would run."""

from dataclasses import replace
import json
from pathlib import Path
import shutil

from edge_seg.cli.main import main
from edge_seg.models.keys import generate_pair
from edge_seg.models.layered import LayeredStore, open_stores
from edge_seg.models.signature import sign_with_key, SignaturePolicy
from edge_seg.models.store import ModelStore
from edge_seg.offline.kpi.run import KpiRow, KpiRun
from edge_seg.offline.reporting.facts import collect
from edge_seg.offline.reporting.page import render
from edge_seg.offline.reporting.samples import Sample, Samples
from html_page import Page
import pytest

DEMO = Path(__file__).resolve().parents[3] / 'models' / 'floor'
NAMES = ('background', 'floor', 'wall', 'obstacle', 'person')
NONE = Samples((), '', 'none were asked for')
HOSTILE = '</style><script>alert(1)</script><img src="http://example.com/x">'


@pytest.fixture
def stores(tmp_path: Path) -> LayeredStore:
    """Give a store with both versions of the demo model."""
    store = ModelStore(tmp_path / 'store')
    for version in ('1', '2'):
        store.publish(DEMO / version)
    store.set_label('floor', 'stable', '1')
    return open_stores(str(store.root), own=store.root, installed=tmp_path / 'none')


def evaluation(stores: LayeredStore, version: str, miou: float, p50: float) -> KpiRun:
    """Give an evaluation as edge_seg model evaluate records it."""
    package = stores.resolve(f'floor@{version}')
    return KpiRun(
        kind='evaluate',
        model=package.identity,
        model_sha256=package.manifest_sha256,
        backend='openvino',
        device='CPU (Xeon)',
        precision='int8',
        miou=miou,
        p50_ms=p50,
        p95_ms=p50 * 1.5,
        energy_j=0.25,
        document={
            'data': 'synthetic 640x480',
            'truth': 'labels',
            'frames': 40,
            'miou': miou,
            'pixel_accuracy': 0.97,
            'classes': [{'name': name, 'iou': miou, 'pixels': 1000} for name in NAMES],
            'confusion': [[900 if i == j else 20 for j in range(6)] for i in range(5)],
        },
    )


def test_everything_that_is_known_is_in_it(stores: LayeredStore) -> None:
    rows = [
        KpiRow(1, evaluation(stores, '1', 0.69, 2.0)),
        KpiRow(2, evaluation(stores, '2', 0.5, 9.0)),
        KpiRow(3, evaluation(stores, '2', 0.8983, 7.3)),
    ]
    package = stores.resolve('floor@2')
    made = collect(stores, package, rows, NONE)
    assert made.accuracy is not None
    assert made.accuracy.miou == 0.8983
    page = Page(render(made))
    for text in ('floor@2', '89.8%', '7.3 ms', '0.25 J', 'not signed', 'obstacle', '97.0%'):
        assert text in page.shown
    assert package.manifest_sha256 in page.shown
    assert '2 (this one)' in page.shown
    assert '69.0%' in page.shown  # of the other version
    assert [words.split(':')[0] for words in page.plots] == [
        'IoU of each class',
        'Confusion',
        'Latency',
    ]


@pytest.mark.parametrize('difference', ['host', 'frames', 'truth'])
def test_a_run_under_other_conditions_is_not_set_beside(
    stores: LayeredStore, difference: str
) -> None:
    other = evaluation(stores, '1', 0.69, 2.0)
    if difference == 'host':
        other = replace(other, host='another')
    else:
        other = replace(other, document={**other.document, difference: 'another'})
    rows = [KpiRow(1, other), KpiRow(2, evaluation(stores, '2', 0.9, 7.0))]
    made = collect(stores, stores.resolve('floor@2'), rows, NONE)
    assert [version.run is None for version in made.versions] == [False, True]


def test_without_any_run_it_says_what_to_do(stores: LayeredStore) -> None:
    page = Page(render(collect(stores, stores.resolve('floor@2'), (), NONE)))
    assert 'edge_seg model evaluate' in page.shown
    assert 'Not measured yet' in page.shown


def test_an_evaluation_of_another_form_is_left_out(stores: LayeredStore) -> None:
    run = replace(evaluation(stores, '2', 0.9, 7.0), document={'classes': [{'iou': 'good'}]})
    made = collect(stores, stores.resolve('floor@2'), [KpiRow(1, run)], NONE)
    assert made.accuracy is None
    assert len(made.runs) == 1


def test_nothing_in_it_is_loaded_or_run(stores: LayeredStore, tmp_path: Path) -> None:
    folder = tmp_path / 'hostile'
    shutil.copytree(DEMO / '2', folder)
    text = (folder / 'manifest.yaml').read_text('utf-8')
    lines = [line for line in text.splitlines() if not line.startswith('description:')]
    lines += [f"description: '{HOSTILE}'"]
    (folder / 'manifest.yaml').write_text('\n'.join(lines).replace('obstacle', HOSTILE), 'utf-8')
    package = stores.resolve(f'{folder}/')
    run = replace(
        evaluation(stores, '2', 0.9, 7.0),
        model_sha256=package.manifest_sha256,
        device=HOSTILE,
        precision=HOSTILE,
    )
    samples = Samples((Sample(HOSTILE, b'\xff\xd8', b'\xff\xd8'),), HOSTILE)
    page = Page(render(collect(stores, package, [KpiRow(1, run)], samples)))
    assert HOSTILE in page.shown
    assert not {'script', 'link', 'iframe', 'object', 'base', 'a'} & set(page.tags)
    pictures = [address.split(';')[0] for address in page.addresses]
    assert pictures == 2 * ['data:image/jpeg'] + 3 * ['data:image/svg+xml']
    assert page.tags.count('img') == 5


def test_the_state_of_the_signature_is_told(stores: LayeredStore, tmp_path: Path) -> None:
    private, public = generate_pair(tmp_path / 'site')
    package = stores.resolve('floor@1')
    sign_with_key(package, private)
    trusting = SignaturePolicy(trusted_keys=(public,))
    assert 'not trusted here' in render(collect(stores, package, (), NONE))
    assert '<b>good</b>' in render(collect(stores, package, (), NONE, trusting))
    signature = json.loads((package.path / 'manifest.sig').read_text('ascii'))
    signature['signature'] = f'AAAA{signature["signature"][4:]}'
    (package.path / 'manifest.sig').write_text(json.dumps(signature), 'ascii')
    made = collect(stores, package, (), NONE, trusting)
    assert made.signature is None
    assert 'does not fit its manifest' in render(made)


def test_the_command_writes_samples_and_an_evaluation(
    stores: LayeredStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('EDGE_SEG_KPI', str(tmp_path / 'kpi.sqlite'))
    target = tmp_path / 'floor.html'
    words = ['report', 'floor@1', '-o', target, '--store', stores.roots[0], '--json']
    words += ['--samples', 2, '--evaluate', '--frames', 3, '--size', '160x120']
    assert main(['model', *map(str, words)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said['samples'], said['evaluated'], said['signature']) == (2, True, 'unsigned')
    assert said['runs'] == [1]
    page = Page(target.read_text('utf-8'))
    assert page.tags.count('img') == 6 + 3
    assert main(['kpi', 'list', '--json']) == 0
    assert [run['kind'] for run in json.loads(capsys.readouterr().out)] == ['evaluate']


@pytest.mark.parametrize(
    ('words', 'code', 'reason'),
    [
        (('wall',), 3, "no model 'wall'"),
        (('floor@1', '--data', '/does/not/exist'), 5, '/does/not/exist'),
        (('floor@1', '--samples', '0', '-o', '/dev/null/x'), 1, '/dev/null/x'),
        (('floor@1', '--database', '/dev/null/x'), 5, 'no KPI database'),
    ],
)
def test_bad_input_gives_one_line(
    stores: LayeredStore,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    reason: str,
) -> None:
    found = main(['model', 'report', *words, '--store', str(stores.roots[0])])
    err = capsys.readouterr().err
    assert (found, err.count('\n')) == (code, 1)
    assert reason in err


def test_pictures_that_cannot_be_read_are_not_taken_for_a_model_that_does_not_run(
    stores: LayeredStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'torn').mkdir()
    (tmp_path / 'torn' / 'a.png').write_bytes(b'x')
    words = ['floor@1', '--data', tmp_path / 'torn', '-o', tmp_path / 'x.html']
    assert main(['model', 'report', *map(str, words), '--store', str(stores.roots[0])]) == 5
    assert 'no frame can be used' in capsys.readouterr().err
    assert not (tmp_path / 'x.html').exists()
