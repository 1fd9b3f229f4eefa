"""Reads files that nobody but this user or root can have written or exchanged."""

import errno
import os
from pathlib import Path
import stat

from edge_seg.errors import CompileFailed, PrebuiltUnusable

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MOST_LINKS = 40
"""As many as Linux follows."""


def read_trusted(path: Path, *, limit: int = -1) -> bytes:
    """Read a file after making sure of who can have written it.

    The permissions are those of the open file, so that it cannot be exchanged in between; those
    of the folders around it tell whether it could have been exchanged before. Links are followed,
    and each on the way is held to the same rule.

    Args:
        path: the file.
        limit: most bytes to read; -1 for all.

    Raises:
        FileNotFoundError: there is none.
        PrebuiltUnusable: it cannot be read.
        CompileFailed: others can write it, or could have put another in its place.
    """
    real = check_place(path)
    try:
        handle = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PrebuiltUnusable(f'{path} cannot be read: {error.strerror}') from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise PrebuiltUnusable(f'{path} is not a file', expected='a file')
        _check_writers(path, found)
        with os.fdopen(os.dup(handle), 'rb') as file:
            return file.read(limit)
    finally:
        os.close(handle)


def check_place(path: Path) -> Path:
    """Refuse a place where others could exchange a file; there need not be one yet.

    Returns:
        The place that was checked, every link on the way to it followed.

    Raises:
        CompileFailed: others can write to its folder, to one further up, or to one that a link
            on the way lies in.
        PrebuiltUnusable: links lead in a circle, or it cannot be looked at.
    """
    try:
        return _checked(path)
    except OSError as error:
        raise PrebuiltUnusable(f'{path} cannot be read: {error.strerror}') from error


def _checked(path: Path) -> Path:
    place = path.absolute()
    for _ in range(_MOST_LINKS):
        _check_folder(place.parent)
        for folder in place.parent.parents:
            _check_ancestor(folder)
        ways = (*reversed(place.parents), place)
        link = next((each for each in ways if each.is_symlink()), None)
        if link is None:
            return place
        _check_owner(link, os.lstat(link))  # in /tmp its owner may exchange it
        place = link.parent / os.readlink(link) / place.relative_to(link)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise CompileFailed(f'{folder} is not a directory', expected='the directory of an engine')
    _check_writers(folder, os.stat(folder))


def _check_ancestor(folder: Path) -> None:
    """Refuse a folder in which others can exchange what lies on the way to the engine.

    In one with the sticky bit (/tmp) only owners can. A group of the user's own, by which the
    umask 002 of many distributions makes folders writable, has no other members.
    """
    found = os.stat(folder)
    private = found.st_gid == found.st_uid and not found.st_mode & stat.S_IWOTH
    if found.st_mode & stat.S_ISVTX or private:
        found = os.stat_result((found.st_mode & ~_OTHERS_MAY_WRITE, *found[1:]))
    _check_writers(folder, found)


def _check_writers(path: Path, found: os.stat_result) -> None:
    _check_owner(path, found)
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise CompileFailed(
            f'{path} is writable by others (mode {stat.S_IMODE(found.st_mode):04o})',
            expected='an engine that only its owner can write: it is executable code',
            # A folder like /tmp must stay as it is.
            remedy='move the engine into a folder of your own'
            if found.st_mode & stat.S_ISVTX
            else f'chmod go-w {path}, if you trust what is in it',
        )


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise CompileFailed(
            f'{path} belongs to user {found.st_uid}',
            expected='this user or root: an engine is executable code',
            remedy=f'sudo chown -h {os.geteuid()} {path}, if you trust what is in it',
        )
