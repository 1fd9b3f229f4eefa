"""What an archive of a model holds, in which order, and how much of it."""

from dataclasses import dataclass
from pathlib import Path
import unicodedata

from edge_seg.errors import IntegrityError
from edge_seg.models.guarded_yaml import MAX_BYTES
from edge_seg.models.publication import MAX_SIGNATURE_BYTES

BLOCK = 512
RECORD = 10240
REPORT_NAME = 'report.html'
GZIP_SUFFIXES = ('.tar.gz', '.tgz')
ZSTD_SUFFIXES = ('.tar.zst', '.tzst')
_REMEDY = 'do not use it: get it again from its publisher'


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an archive may be; bytes.

    Attributes:
        manifest: of manifest.yaml.
        signature: of manifest.sig.
        report: of report.html.
        total: of everything that it unpacks to. One file is below 8 GiB in any case.
        ratio: of what it unpacks to, to what it is; weights seldom reach 10.
        ratio_from: what any archive may unpack to, whatever the ratio.
    """

    manifest: int = MAX_BYTES
    signature: int = MAX_SIGNATURE_BYTES
    report: int = 64 << 20
    total: int = 8 << 30
    ratio: int = 100
    ratio_from: int = 64 << 20


def refused(
    archive: Path, met: str, *, expected: str = '', remedy: str = _REMEDY
) -> IntegrityError:
    """Make the error for an archive that is not to be trusted."""
    return IntegrityError(f'{archive}: {met}', expected=expected, remedy=remedy)


def same_file_key(name: str) -> str:
    """Return what two names share that some file system takes for one."""
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', name).casefold())
