"""Installing an archive: everything in it is checked before the store sees any of it."""

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass, field, replace
import hashlib
import os
from pathlib import Path
import stat
from typing import BinaryIO

from edge_seg.errors import IntegrityError, ModelError, ModelNotFound
from edge_seg.models.durable import replace_durably, write_durably
from edge_seg.models.guarded_yaml import shown
from edge_seg.models.manifest import ArtifactFile, Manifest, MANIFEST_NAME, parse_manifest
from edge_seg.models.manifest_checks import path_problem
from edge_seg.models.package import (
    ModelPackage,
    open_package,
    Progress,
    SIGNATURE_NAME,
    verify_artifacts,
)
from edge_seg.models.signature import check_signature, SignaturePolicy, SignatureReport
from edge_seg.models.store import ModelStore
from edge_seg.models.workspace import reported, Workspace
from edge_seg.offline.archives.layout import Limits, refused, REPORT_NAME, same_file_key
from edge_seg.offline.archives.streams import UnpackedStream
from edge_seg.offline.archives.tar_members import Member, TarMembers

WORTH = ('unsigned', 'unknown_key', 'good')


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """What installing an archive came to.

    Attributes:
        package: the model in the store.
        signature: what the signature that it has in the store is worth here.
        new: False when the same model was there already.
        report: content of the report that came along, which no signature covers; or None.
    """

    package: ModelPackage
    signature: SignatureReport
    new: bool
    report: bytes | None = None


def install(
    archive: Path,
    store: ModelStore,
    *,
    expected: str = '',
    policy: SignaturePolicy | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> InstalledModel:
    """Put the model of an archive into a store, whole or not at all.

    One that is there already is checked anew, and gets the archive's signature if that is worth
    more than its own.

    Args:
        archive: as ``package_model`` writes it.
        store: where to.
        expected: ``name@version`` that it has to be; '' takes any.
        policy: what is asked of signatures; None = only that one that is there fits.
        limits: how large it may be.
        progress: told bytes of the archive done and in all, in the calling thread.

    Raises:
        ModelNotFound: there is no such archive.
        IntegrityError, ManifestInvalid: it was tampered with, is damaged, too large or not
            signed as asked; names the file in it and the reason. Or the same model is in the
            store already, and damaged there.
        StoreError: another model of that name and version is in the store, or the store cannot
            be written to.
        BackendUnavailable: .tar.zst, and no Zstandard here.
    """
    policy, limits = policy or SignaturePolicy(), limits or Limits()
    with ExitStack() as stack:
        stream = stack.enter_context(_opened(archive))
        staging = stack.enter_context(Workspace(store.root).staging('install'))
        unpacking = _Unpacking(archive, stream, staging, limits, progress)
        manifest = unpacking.manifest()
        if expected not in ('', manifest.reference):
            raise refused(archive, f'it holds {manifest.reference}', expected=expected)
        signature = unpacking.signature(policy)
        unpacking.files()
        with _of_archive(archive, staging):
            sent = open_package(staging)
        present = _present(store, sent)
        if present is not None:
            with store.in_use(present):
                signature = _confirmed(present, sent, policy)
            return InstalledModel(present, signature, False, unpacking.report)
        with _of_archive(archive, staging):
            published = store.publish(staging)
        return InstalledModel(published, signature, True, unpacking.report)


@dataclass(slots=True)
class _Unpacking:
    """An archive on its way into an empty folder."""

    archive: Path
    stream: BinaryIO
    folder: Path
    limits: Limits
    progress: Progress | None
    report: bytes | None = None
    _members: TarMembers = field(init=False)
    _plain: UnpackedStream = field(init=False)
    _next: Member | None = field(init=False, default=None)
    _package: ModelPackage = field(init=False)
    _seen: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._plain = UnpackedStream(self.stream, self.archive, self.limits)
        self._members = TarMembers(self._plain, self.archive)

    def manifest(self) -> Manifest:
        """Unpack the manifest, which says what may follow."""
        first = self._step()
        if first is None or first.name != MANIFEST_NAME:
            found = 'it holds nothing' if first is None else f'it starts with {shown(first.name)}'
            raise refused(self.archive, found, expected=f'{MANIFEST_NAME} first')
        text = self._small(first, self.limits.manifest)
        manifest = parse_manifest(text, file=f'{self.archive}: {MANIFEST_NAME}')
        with reported(self.folder):
            write_durably(self.folder / MANIFEST_NAME, text)
        self._package = ModelPackage(self.folder, manifest, hashlib.sha256(text).hexdigest())
        self._next = self._step()
        return manifest

    def signature(self, policy: SignaturePolicy) -> SignatureReport:
        """Unpack the signature, if any, and judge it before anything large is unpacked."""
        if self._next is not None and self._next.name == SIGNATURE_NAME:
            content = self._small(self._next, self.limits.signature)
            with reported(self.folder):
                write_durably(self.folder / SIGNATURE_NAME, content)
            self._next = self._step()
        with _of_archive(self.archive, self.folder):
            return check_signature(self._package, policy)

    def files(self) -> None:
        """Unpack all else, each file once, with the digest that the manifest gives it."""
        declared = {file.path: file for file in self._package.manifest.files()}
        missing = dict(declared)
        while self._next is not None:
            member = self._next
            if member.name == REPORT_NAME and REPORT_NAME not in declared:
                self.report = self._small(member, self.limits.report)
            elif member.name in declared:
                self._file(member, declared[member.name])
                del missing[member.name]
            else:
                raise refused(
                    self.archive,
                    f'{shown(member.name)} is not named in the manifest',
                    expected='only the files that it gives a digest for',
                )
            self._next = self._step()
        for name in missing:
            raise refused(self.archive, f'{shown(name)} is missing', expected='a whole archive')

    def _step(self) -> Member | None:
        """Go to the next member and refuse a name that no archive of ours has."""
        member = self._members.next()
        if self.progress is not None:
            self.progress(self._plain.taken, os.fstat(self.stream.fileno()).st_size)
        if member is None:
            return None
        name = member.name
        problem = path_problem(name) if name not in (MANIFEST_NAME, SIGNATURE_NAME) else ''
        if problem:
            raise refused(self.archive, f'a file is called {shown(name)}', expected=problem)
        key = same_file_key(name)
        if key in self._seen:
            other = self._seen[key]
            twice = 'is there twice' if other == name else f'and {shown(other)} may be one file'
            raise refused(self.archive, f'{shown(name)} {twice}', expected='each file once')
        self._seen[key] = name
        if member.size > self.limits.total:
            raise refused(
                self.archive,
                f'{shown(name)} is said to have {member.size} bytes',
                expected=f'at most {self.limits.total}',
                remedy='allow more with --max-size if you trust it',
            )
        return member

    def _small(self, member: Member, limit: int) -> bytes:
        if member.size > limit:
            raise refused(
                self.archive,
                f'{shown(member.name)} has {member.size} bytes',
                expected=f'at most {limit}',
            )
        return b''.join(self._members.content(member))

    def _file(self, member: Member, declared: ArtifactFile) -> None:
        if declared.size is not None and member.size != declared.size:
            raise refused(
                self.archive,
                f'{shown(member.name)} has {member.size} bytes',
                expected=f'{declared.size}, as the manifest says',
            )
        target, digest = self.folder / member.name, hashlib.sha256()
        with reported(self.folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            # Not flushed: publishing copies it to where it stays, and flushes that.
            with target.open('xb') as stream:
                for data in self._members.content(member):
                    digest.update(data)
                    stream.write(data)
        if digest.hexdigest() != declared.sha256:
            raise refused(
                self.archive,
                f'{shown(member.name)} has sha256 {digest.hexdigest()}',
                expected=f'{declared.sha256}, as the manifest says',
            )


@contextmanager
def _of_archive(archive: Path, folder: Path) -> Iterator[None]:
    """Let errors name the archive: the folder is gone when they are read."""
    try:
        yield
    except IntegrityError as error:
        met = error.met.replace(f'{folder}{os.sep}', '')
        raise IntegrityError(
            f'{archive}: {met}', expected=error.expected, remedy=error.remedy
        ) from error


def _opened(archive: Path) -> BinaryIO:
    try:
        # O_NONBLOCK: opening a FIFO must not wait for a writer.
        descriptor = os.open(archive, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ModelNotFound(
            f'{archive} cannot be read ({error.strerror})', expected='an archive'
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ModelNotFound(f'{archive} is no regular file', expected='an archive')
    return os.fdopen(descriptor, 'rb')


def _present(store: ModelStore, sent: ModelPackage) -> ModelPackage | None:
    """Return the model when the store has the very same; its files are not read."""
    try:
        found = store.resolve(sent.identity)
    except ModelError:
        return None  # not there, or bad, which publishing refuses with the reason
    return found if found.manifest_sha256 == sent.manifest_sha256 else None


def _confirmed(
    present: ModelPackage, sent: ModelPackage, policy: SignaturePolicy
) -> SignatureReport:
    """Check a model of the store as if it were new, with the better of two signatures."""
    try:
        verify_artifacts(present)
    except IntegrityError as error:
        raise IntegrityError(
            error.met,
            expected=error.expected,
            remedy=f'edge_seg model remove {present.identity}, then install it again',
        ) from error
    if _worth(sent, policy) > _worth(present, policy):
        signature = (sent.path / SIGNATURE_NAME).read_bytes()
        with reported(present.path):
            replace_durably(present.path / SIGNATURE_NAME, signature)
    return check_signature(present, policy)


def _worth(package: ModelPackage, policy: SignaturePolicy) -> int:
    try:
        return WORTH.index(check_signature(package, replace(policy, require=False)).state)
    except IntegrityError:
        return 0  # a wrong one is worth no more than none
