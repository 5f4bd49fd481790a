"""The folder of compiled modules: where it is, and that it can be trusted.

Theano loads the modules in it as code, and unpickles their keys: who may write there may run
programs as the user.
"""

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, Optional

from theano_rnn.common.errors import RNNError

REMEDY = "THEANO_FLAGS=base_compiledir=FOLDER"


def home() -> Optional[Path]:
    """The user's home folder; None for a user without a passwd entry and without HOME."""
    path = os.path.expanduser("~")
    return Path(path) if os.path.isabs(path) else None


def home_can_be_written() -> bool:
    """True if Theano's default folder, ~/.theano, is there or can be made."""
    folder = home()
    if folder is None:
        return False
    default = folder / ".theano"
    return os.access(default if default.exists() else folder, os.W_OK | os.X_OK)


def temporary() -> Path:
    """A folder of this user for temporary files, in the place of ~/.theano."""
    return Path(tempfile.gettempdir()) / f"theano_rnn-{_user()}"


def prepare(config: Any) -> Path:
    """Make the folder, of mode 700, if it is not there; refuse one that cannot be trusted.

    To be called before Theano first reads ``config.compiledir``, which makes the folder too, but
    also for the user's group.

    Raises
    ------
    RNNError
        If the folder cannot be made or written, or others may write to it.
    """
    from theano.configdefaults import _default_compiledir

    base = Path(config.base_compiledir)
    parameter = config._config_var_dict["compiledir"]
    named = None if parameter.is_default else Path(config.compiledir)
    folder = Path(os.path.realpath(named or _default_compiledir()))
    try:
        for path in (*([base] if named is None else []), folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_be_written(str(error)) from None
    if named is None:
        _refuse_if_others_may_write(base, may_hold_those_of_others=True)
    _refuse_if_others_may_write(folder)
    # Of a folder that others cannot enter its own mode is enough: what Theano makes in it has that
    # of the umask.
    others_enter = folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    for entry in os.scandir(folder) if others_enter else ():
        with contextlib.suppress(FileNotFoundError):  # another process has just deleted it
            if entry.is_dir():
                _refuse_if_others_may_write(Path(entry.path))
    try:
        _ = config.compiledir
    except (ValueError, OSError) as error:
        raise cannot_be_written(str(error).splitlines()[0]) from None
    return folder


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name, then rename it: a reader sees the old or the new one."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def cannot_be_written(reason: str) -> RNNError:
    """The error of a folder that cannot be made or written."""
    return RNNError(
        f"the compile cache cannot be written ({reason}); name another folder: {REMEDY}"
    )


def _refuse_if_others_may_write(folder: Path, may_hold_those_of_others: bool = False) -> None:
    """Raise if another user may put files into a folder, or take ours away.

    ``may_hold_those_of_others`` is for one such as /tmp, which belongs to root and whose sticky
    bit keeps each user from the others' folders.
    """
    if os.name != "posix":
        return
    found = folder.stat()
    owners = {_user(), 0} if may_hold_those_of_others else {_user()}
    if found.st_uid not in owners:
        raise RNNError(
            f"the compile cache {folder} belongs to another user (id {found.st_uid}), and modules "
            f"in it run as your own: name another folder: {REMEDY}"
        )
    is_sticky = bool(found.st_mode & stat.S_ISVTX) and may_hold_those_of_others
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not is_sticky:
        raise RNNError(
            f"others may write to the compile cache {folder} (mode "
            f"{stat.S_IMODE(found.st_mode):o}), and modules in it run as your own: chmod go-w "
            f"{folder}, or name another folder: {REMEDY}"
        )


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0
