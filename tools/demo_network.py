"""The demo network: a Fast-SCNN-class encoder with skips up to half resolution (PyTorch).

Dense 3x3 convolutions where channels are few, separable ones where they are many: on a CPU the
high resolutions are limited by memory traffic, which widening blocks would multiply.
"""

from __future__ import annotations

import torch
from torch import nn
import torch.nn.functional as F


class ConvUnit(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        padding = kernel // 2
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Bottleneck(nn.Module):
    """Inverted residual: widen, depthwise 3x3, narrow; added to its input."""

    def __init__(self, channels: int, *, expansion: int = 2) -> None:
        super().__init__()
        inner = channels * expansion
        self.body = nn.Sequential(
            ConvUnit(channels, inner),
            ConvUnit(inner, inner, kernel=3, groups=inner),
            nn.Conv2d(inner, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the shape of the input."""
        result: torch.Tensor = features + self.body(features)
        return result


class PyramidPooling(nn.Module):
    """Adds context from the whole image and from its thirds; height and width divide by 3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.whole = ConvUnit(channels, channels)
        self.thirds = ConvUnit(channels, channels)
        self.blend = ConvUnit(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the shape of the input."""
        # Plain pooling with sizes known when exporting: every runtime has it.
        height, width = int(features.shape[2]), int(features.shape[3])
        third = (height // 3, width // 3)
        whole = self.whole(F.avg_pool2d(features, (height, width)))
        thirds = self.thirds(F.avg_pool2d(features, third))
        thirds = F.interpolate(thirds, scale_factor=third, mode='nearest')
        result: torch.Tensor = self.blend(features + whole + thirds)
        return result


class Join(nn.Module):
    """Doubles the resolution of deep features and refines them with shallower ones."""

    def __init__(self, deep: int, shallow: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(deep, outputs, 1, bias=False)
        self.lateral = nn.Conv2d(shallow, outputs, 1)
        self.refine = ConvUnit(outputs, outputs, kernel=3)

    def forward(self, deep: torch.Tensor, shallow: torch.Tensor) -> torch.Tensor:
        """Return features of the height and width of `shallow`."""
        reduced = F.interpolate(self.reduce(deep), scale_factor=2, mode='nearest')
        result: torch.Tensor = self.refine(F.relu(reduced + self.lateral(shallow)))
        return result


class FloorNet(nn.Module):
    """Normalised RGB (n, 3, h, w) to logits (n, classes, h / 2, w / 2); sides divide by 96."""

    def __init__(self, *, classes: int, width: int) -> None:
        """Make a network with `width` channels at half resolution; the others follow."""
        super().__init__()
        c2, c4, c8, c16, c32 = width, 2 * width, 4 * width, 6 * width, 8 * width
        self.half_size = ConvUnit(3, c2, kernel=3, stride=2)
        self.quarter = nn.Sequential(
            ConvUnit(c2, c4, kernel=3, stride=2), ConvUnit(c4, c4, kernel=3)
        )
        self.eighth = nn.Sequential(
            ConvUnit(c4, c8, kernel=3, stride=2), Bottleneck(c8), Bottleneck(c8)
        )
        self.sixteenth = nn.Sequential(
            ConvUnit(c8, c16, kernel=3, stride=2), Bottleneck(c16), Bottleneck(c16)
        )
        self.deepest = nn.Sequential(
            ConvUnit(c16, c32, kernel=3, stride=2),
            Bottleneck(c32),
            Bottleneck(c32),
            PyramidPooling(c32),
        )
        self.join16 = Join(c32, c16, c8)
        self.join8 = Join(c8, c8, c4)
        self.join4 = Join(c4, c4, c4)
        self.join2 = Join(c4, c2, c2)
        self.classify = nn.Conv2d(c2, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits at half the input's resolution."""
        half = self.half_size(image)
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        features = self.join16(self.deepest(sixteenth), sixteenth)
        features = self.join8(features, eighth)
        features = self.join4(features, quarter)
        features = self.join2(features, half)
        logits: torch.Tensor = self.classify(features)
        return logits
