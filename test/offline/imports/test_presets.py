"""The named presets: what is known of the data sets stands in them."""

from edge_seg.errors import OptionInvalid
from edge_seg.offline.imports.answers import to_classes, to_normalisation
from edge_seg.offline.imports.presets import label_sets, normalisations
import pytest


@pytest.mark.parametrize(
    ('name', 'count', 'known'),
    [
        (
            'cityscapes',
            19,
            {
                0: ('road', (128, 64, 128)),
                10: ('sky', (70, 130, 180)),
                18: ('bicycle', (119, 11, 32)),
            },
        ),
        (
            'ade20k',
            150,
            {
                0: ('wall', (120, 120, 120)),
                3: ('floor', (80, 50, 50)),
                149: ('flag', (92, 0, 255)),
            },
        ),
        (
            'pascal-voc',
            21,
            {
                0: ('background', (0, 0, 0)),
                15: ('person', (192, 128, 128)),
                20: ('tvmonitor', (0, 64, 128)),
            },
        ),
        ('coco-stuff-171', 171, {0: ('person', (0, 192, 64)), 170: ('wood', (64, 64, 0))}),
        ('coco-stuff-182', 182, {0: ('person', (0, 192, 64)), 181: ('wood', (64, 64, 0))}),
        ('person', 2, {0: ('background', (0, 0, 0)), 1: ('person', (220, 20, 60))}),
        ('road', 2, {0: ('background', (0, 0, 0)), 1: ('road', (128, 64, 128))}),
    ],
)
def test_label_sets_have_the_names_and_colours_of_their_data(
    name: str, count: int, known: dict[int, tuple[str, tuple[int, int, int]]]
) -> None:
    classes = to_classes(name)
    assert len(classes) == count
    assert len({info.name for info in classes}) == count
    for index, expected in known.items():
        assert (classes[index].name, classes[index].color) == expected


def test_the_182_ids_of_coco_stuff_are_the_171_and_eleven_that_never_occur() -> None:
    all_ids, occurring = label_sets()['coco-stuff-182'], label_sets()['coco-stuff-171']
    names = {info.name for info in occurring.classes}
    extra = [info.name for info in all_ids.classes if info.name not in names]
    assert names < {info.name for info in all_ids.classes}
    assert extra == [
        'street sign', 'hat', 'shoe', 'eye glasses', 'plate', 'mirror', 'window', 'desk', 'door',
        'blender', 'hair brush',
    ]  # fmt: skip


def test_pascal_voc_has_the_colours_of_its_colour_map() -> None:
    """Bit 3k+c of the id is bit 7-k of channel c."""
    for index, info in enumerate(to_classes('pascal-voc')):
        color = [
            sum(((index >> (3 * k + channel)) & 1) << (7 - k) for k in range(3))
            for channel in range(3)
        ]
        assert info.color == tuple(color)


@pytest.mark.parametrize(
    ('name', 'black', 'white'),
    [
        ('unit', 0.0, 1.0),
        ('signed-unit', -1.0, 1.0),
        ('symmetric', -1.0, 1.0),
        ('raw', 0.0, 255.0),
    ],
)
def test_normalisations_bring_pixels_where_they_say(name: str, black: float, white: float) -> None:
    preset = to_normalisation(name)
    for pixel, value in ((0, black), (255, white)):
        assert (pixel / preset.scale - preset.mean[0]) / preset.std[0] == pytest.approx(value)


def test_imagenet_has_the_mean_and_deviation_of_torchvision() -> None:
    preset = to_normalisation('imagenet')
    assert preset.mean == (0.485, 0.456, 0.406)
    assert preset.std == (0.229, 0.224, 0.225)
    assert preset.scale == 255.0


def test_every_preset_says_what_it_is() -> None:
    entries = [*normalisations().values(), *label_sets().values()]
    assert all(entry.about for entry in entries)


@pytest.mark.parametrize('text', ['road #12345,sky', 'road#red', '#'])
def test_a_colour_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OptionInvalid, match='has no colour after the #; expected NAME#rrggbb'):
        to_classes(text)
