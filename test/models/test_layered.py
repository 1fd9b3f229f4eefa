"""Models are looked up in the operator's store first, then in what came with the package."""

from collections.abc import Callable
from pathlib import Path

from edge_seg.errors import ModelNotFound, StoreError
from edge_seg.models.layered import LayeredStore, open_stores, Origin
from edge_seg.models.store import ModelStore
import pytest

Make = Callable[..., Path]


@pytest.fixture
def layers(tmp_path: Path, make_model: Make) -> LayeredStore:
    """Give an operator's store with floor@3 over an installed one with floor@1 and person@1."""
    own, installed = ModelStore(tmp_path / 'own'), ModelStore(tmp_path / 'installed')
    own.publish(make_model('floor', 3))
    installed.publish(make_model('floor', 1))
    installed.publish(make_model('person', 1))
    return LayeredStore(own, installed)


@pytest.mark.parametrize(
    ('request_text', 'identity'),
    [('floor', 'floor@3'), ('floor@latest', 'floor@3'), ('floor@1', 'floor@1'),
     ('person', 'person@1')],
)  # fmt: skip
def test_the_first_store_that_has_it_answers(
    layers: LayeredStore, request_text: str, identity: str
) -> None:
    package = layers.resolve(request_text)

    assert package.identity == identity
    assert layers.reference(package) == identity


def test_a_broken_model_is_not_replaced_by_an_installed_one(
    tmp_path: Path, layers: LayeredStore
) -> None:
    (tmp_path / 'own' / 'floor' / '3' / 'manifest.yaml').write_text('half', 'utf-8')

    with pytest.raises(ModelNotFound, match='no version that can be used'):
        layers.resolve('floor')


def test_an_unknown_model_is_not_found(layers: LayeredStore) -> None:
    with pytest.raises(ModelNotFound, match="no model 'sky'"):
        layers.resolve('sky')


def test_what_no_store_has_is_looked_for_in_all(tmp_path: Path, layers: LayeredStore) -> None:
    with pytest.raises(ModelNotFound) as unknown:
        layers.resolve('sky')
    with pytest.raises(ModelNotFound) as version:
        layers.resolve('floor@9')

    places = f'in {tmp_path / "own"} or {tmp_path / "installed"}'
    assert unknown.value.met == f"there is no model 'sky' {places}"
    assert unknown.value.expected == 'one of floor, person'
    assert version.value.met == f'floor has no version 9 {places}'
    assert version.value.expected == 'one of 3, 1'


def test_entries_say_where_they_lie_and_whether_they_can_be_reached(
    tmp_path: Path, layers: LayeredStore, make_model: Make
) -> None:
    ModelStore(tmp_path / 'installed').publish(make_model('floor', 3))

    listed = [(one.entry.identity, one.origin, one.hidden) for one in layers.entries()]

    assert listed == [
        ('floor@3', Origin.STORE, False),
        ('floor@1', Origin.INSTALLED, False),
        ('floor@3', Origin.INSTALLED, True),
        ('person@1', Origin.INSTALLED, False),
    ]


def test_a_model_hidden_by_another_is_named_by_its_path(
    tmp_path: Path, layers: LayeredStore, make_model: Make
) -> None:
    hidden = ModelStore(tmp_path / 'installed').publish(make_model('floor', 3))

    assert layers.reference(hidden) == str(hidden.path)


def test_a_configured_store_is_the_only_one(tmp_path: Path, layers: LayeredStore) -> None:
    only = open_stores(
        str(tmp_path / 'own'), own=tmp_path / 'other', installed=lambda: tmp_path / 'installed'
    )

    with pytest.raises(ModelNotFound):
        only.resolve('person')


def nothing_installed() -> Path:
    raise StoreError('models of edge_seg is not installed', remedy='build the package again')


def test_installed_models_are_not_looked_for_where_a_store_is_configured(
    tmp_path: Path, layers: LayeredStore
) -> None:
    only = open_stores(str(tmp_path / 'own'), own=tmp_path / 'other', installed=nothing_installed)

    assert only.resolve('floor@3').identity == 'floor@3'


def test_missing_installed_models_matter_to_those_who_want_one_of_them(
    tmp_path: Path, layers: LayeredStore
) -> None:
    stores = open_stores('', own=tmp_path / 'own', installed=nothing_installed)

    assert stores.resolve('floor').identity == 'floor@3'
    assert [one.entry.identity for one in stores.entries()] == ['floor@3']
    for request in ('person', 'floor@1'):
        with pytest.raises(ModelNotFound) as refusal:
            stores.resolve(request)
        assert 'is not installed' in refusal.value.remedy


def test_a_model_in_use_is_not_removed(tmp_path: Path, layers: LayeredStore) -> None:
    with layers.in_use(layers.resolve('floor@3')), pytest.raises(StoreError, match='in use'):
        ModelStore(tmp_path / 'own').remove('floor@3')
