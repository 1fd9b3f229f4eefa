"""Models to package, and archives put together by hand, right and wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
import gzip
import hashlib
import io
from pathlib import Path
import tarfile

from edge_seg.models.store import ModelStore
import yaml

WEIGHTS = bytes(range(256)) * 40


def manifest_of(files: dict[str, bytes], *, version: int = 1, sizes: bool = True) -> bytes:
    """Give the manifest of a model with these files; the first is the network."""
    network, *others = files
    entries = [
        {'path': path, 'sha256': hashlib.sha256(files[path]).hexdigest()}
        | ({'size': len(files[path])} if sizes else {})
        for path in (network, *others)
    ]
    document = {
        'schema': 1,
        'name': 'road',
        'version': version,
        'artifacts': [{'format': 'onnx', 'files': entries}],
        'input': {'name': 'image', 'width': 64, 'height': 32},
        'output': {'name': 'scores', 'kind': 'logits'},
        'classes': [
            {'name': 'other', 'color': [0, 0, 0]},
            {'name': 'road', 'color': [128, 64, 128]},
        ],
        'licence': 'MIT',
    }
    if network.endswith('.tflite'):
        document['artifacts'] = [
            {'format': 'tflite', 'files': entries[:1]},
            *({'format': 'onnx', 'files': [each]} for each in entries[1:]),
        ]
    return yaml.safe_dump(document, sort_keys=False).encode()


def published(root: Path, *, version: int = 1, weights: bytes = WEIGHTS) -> ModelStore:
    """Make a store with the model road."""
    folder = root / f'source-{version}'
    folder.mkdir(parents=True)
    (folder / 'road.tflite').write_bytes(weights)
    manifest = manifest_of({'road.tflite': weights}, version=version)
    (folder / 'manifest.yaml').write_bytes(manifest)
    store = ModelStore(root / 'store')
    store.publish(folder)
    return store


@dataclass(frozen=True)
class Part:
    """A member of an archive that is put together by hand."""

    name: str
    content: bytes = b''
    kind: bytes = tarfile.REGTYPE
    link: str = ''
    said_size: int | None = None
    tar_format: int = tarfile.PAX_FORMAT

    def written(self) -> bytes:
        """Give header and content, padded."""
        member = tarfile.TarInfo(self.name)
        member.type, member.linkname = self.kind, self.link
        member.size = len(self.content) if self.said_size is None else self.said_size
        member.mode = 0o644
        header = member.tobuf(self.tar_format, 'utf-8', 'surrogateescape')
        return header + self.content + bytes(-len(self.content) % tarfile.BLOCKSIZE)


def tar_of(parts: Iterable[Part]) -> bytes:
    """Give the plain bytes of an archive."""
    whole = b''.join(part.written() for part in parts) + bytes(2 * tarfile.BLOCKSIZE)
    return whole + bytes(-len(whole) % tarfile.RECORDSIZE)


def gzipped(data: bytes) -> bytes:
    """Compress."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode='wb', mtime=0) as file:
        file.write(data)
    return stream.getvalue()
