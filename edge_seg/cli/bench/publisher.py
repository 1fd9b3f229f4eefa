"""A process that publishes a model, to be killed while it does."""

from pathlib import Path
import sys

from edge_seg.models.publication import publish, submission_from


def main() -> int:
    """Publish the model in the first folder into the store in the second, after a line of word."""
    print('ready', flush=True)
    publish(Path(sys.argv[2]), submission_from(Path(sys.argv[1])))
    return 0


if __name__ == '__main__':
    sys.exit(main())
