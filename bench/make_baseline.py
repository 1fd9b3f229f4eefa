"""Make bench/baseline.json from the results of a run: ratios only, times belong to a machine."""

import json
from pathlib import Path
import sys

TOLERANCE = 0.5
RATIOS = {
    'latency': (
        '640x480_30hz_added_age_to_naive',
        '1920x1080_30hz_added_age_to_naive',
        '640x480_30hz_age_p99_to_p50',
        '1920x1080_30hz_age_p99_to_p50',
    ),
    'throughput': ('throughput_to_benchmark_app',),
    'reload': ('reload_age_p99_to_steady', 'refused_rate_to_steady', 'refused_age_p50_to_steady'),
}


def main() -> int:
    """Read the folder named on the command line, write the baseline to stdout."""
    folder = Path(sys.argv[1])
    ratios = {}
    for name, targets in RATIOS.items():
        found = json.loads((folder / f'{name}.json').read_text('utf-8'))['targets']
        for target in targets:
            value = found[target]['value']
            ratios[f'{name}/{target}'] = {'value': value, 'tolerance': TOLERANCE}
    print(json.dumps({'ratios': ratios}, indent=2))
    return 0


if __name__ == '__main__':
    sys.exit(main())
