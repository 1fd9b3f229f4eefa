"""A U-Net as it is commonly written, in PyTorch: four steps down, two convolutions each."""

import torch
from torch import nn

BASE, DEPTH, CLASSES = 16, 4, 4


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Give two convolutions."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class StandardUNet(nn.Module):
    """From RGB to scores of four classes."""

    def __init__(self) -> None:
        super().__init__()
        widths = [BASE * 2**step for step in range(DEPTH + 1)]
        pairs = list(zip(widths, widths[1:], strict=False))
        self.first, self.pool = block(3, BASE), nn.MaxPool2d(2)
        self.down = nn.ModuleList(block(few, many) for few, many in pairs)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(many, few, 2, stride=2) for few, many in reversed(pairs)
        )
        self.up = nn.ModuleList(block(2 * few, few) for few, _ in reversed(pairs))
        self.head = nn.Conv2d(BASE, CLASSES, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Give scores (N, 4, H, W) for images (N, 3, H, W)."""
        steps = [self.first(image)]
        for down in self.down:
            steps.append(down(self.pool(steps[-1])))
        result = steps.pop()
        for grow, up in zip(self.grow, self.up, strict=True):
            result = up(torch.cat([steps.pop(), grow(result)], 1))
        return self.head(result)


def unet() -> nn.Module:
    """Give the network with the weights that it begins with."""
    torch.manual_seed(0)
    return StandardUNet()
