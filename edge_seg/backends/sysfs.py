"""Values that the kernel shows as small files in /sys and /proc."""

from pathlib import Path


def read_text(path: Path) -> str:
    """Give the text of a file without the newline at its end; '' when it cannot be read."""
    try:
        return path.read_text('utf-8', errors='replace').strip()
    except OSError:
        return ''


def read_number(path: Path) -> float | None:
    """Give the number in a file; None when there is none, as of a sensor that is powered down."""
    try:
        return float(read_text(path))
    except ValueError:
        return None
