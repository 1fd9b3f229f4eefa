"""A small U-Net in PyTorch, and networks that are awkward to export."""

from typing import Any

import torch
from torch import nn

CLASSES = 4


class UNet(nn.Module):
    """A U-Net with one step down and up.

    Args:
        width: channels of the first convolution.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down = self._block(3, width)
        self.pool = nn.MaxPool2d(2)
        self.middle = self._block(width, 2 * width)
        self.up = nn.Upsample(scale_factor=2, mode='bilinear', align_corners=False)
        self.join = self._block(3 * width, width)
        self.head = nn.Conv2d(width, CLASSES, 1)

    @staticmethod
    def _block(inputs: int, outputs: int) -> nn.Sequential:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Give scores (N, 4, H, W) for images (N, 3, H, W)."""
        fine = self.down(image)
        coarse = self.middle(self.pool(fine))
        return self.head(self.join(torch.cat([fine, self.up(coarse)], 1)))


class WithHead(nn.Module):
    """A U-Net that does something more with its scores.

    Args:
        ending: name of what it does.
    """

    def __init__(self, ending: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network, self.ending = UNet(), ending

    def forward(self, image: torch.Tensor) -> Any:
        """Give what the ending makes of the scores."""
        scores = self.network(image)
        endings = {
            'softmax': lambda: scores.softmax(1),
            'sigmoid': lambda: scores[:, :1].sigmoid(),
            'argmax': lambda: scores.argmax(1),
            'dict': lambda: {'out': scores, 'aux': scores * 2},
            'list': lambda: [scores, (scores * 2, 'text')],
            'nothing': lambda: 'no tensor',
        }
        return endings[self.ending]()


class Positioned(nn.Module):
    """Adds a learnt position to its features, as transformers do, and declares it first."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.linspace(-1, 1, 8 * 4 * 8).reshape(1, 8, 4, 8))
        self.patches = nn.Conv2d(channels, 8, 4, stride=4)
        self.head = nn.Conv2d(8, CLASSES, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Give scores (N, 4, 4, 8) for images (N, C, 16, 32)."""
        return self.head(self.patches(image) + self.position)


class TwoImages(nn.Module):
    """Takes two images."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Add them."""
        return left + right


def unet() -> nn.Module:
    """Give a U-Net with weights that are the same every time."""
    torch.manual_seed(0)
    return UNet()


def gray() -> nn.Module:
    """Give a network for gray images."""
    torch.manual_seed(0)
    return nn.Conv2d(1, 2, 3, padding=1)


def positioned() -> nn.Module:
    """Give a network whose first parameter of four axes is no filter."""
    torch.manual_seed(0)
    return Positioned()


def positioned_gray() -> nn.Module:
    """Give the same for gray images."""
    torch.manual_seed(0)
    return Positioned(1)


def four_channels() -> nn.Module:
    """Give a network for colour and depth."""
    return nn.Conv2d(4, 2, 3, padding=1)


def half_precision() -> nn.Module:
    """Give a network in a type that no backend takes."""
    return nn.Conv2d(3, 2, 3, padding=1).to(torch.bfloat16)


def lazy() -> nn.Module:
    """Give a network that learns its channels from its first image."""
    return nn.LazyConv2d(2, 3, padding=1)


def softmax() -> nn.Module:
    """Give a U-Net with a softmax."""
    return WithHead('softmax')


def sigmoid() -> nn.Module:
    """Give a U-Net with one channel and a sigmoid."""
    return WithHead('sigmoid')


def argmax() -> nn.Module:
    """Give a U-Net with an argmax."""
    return WithHead('argmax')


def named_outputs() -> nn.Module:
    """Give a U-Net with two outputs by name, as torchvision's networks have."""
    return WithHead('dict')


def listed_outputs() -> nn.Module:
    """Give a U-Net with two outputs in lists."""
    return WithHead('list')


def no_outputs() -> nn.Module:
    """Give a network that returns no tensor."""
    return WithHead('nothing')


def broken() -> nn.Module:
    """Fail."""
    raise RuntimeError('no weights here')


def no_network() -> int:
    """Give something else."""
    return 3
