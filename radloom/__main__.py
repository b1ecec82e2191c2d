"""The command `radloom`: runs the command line and turns a user's error into one line and exit status 1."""

from __future__ import annotations

import errno
import sys

from radloom.errors import RadloomError

_INTERRUPTED = 130  # what typer makes of Ctrl-C
_DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too big",
    errno.EROFS: "the place cannot be written",
    errno.EACCES: "permission denied",
}


def main() -> None:
    """Runs the command line."""
    try:
        from radloom.cli import app  # loading takes long enough to be interrupted

        app(standalone_mode=True)
    except KeyboardInterrupt:
        print("radloom: interrupted before anything was done.", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except RadloomError as error:
        sys.exit(f"radloom: {error}")
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            print("radloom: interrupted; what was finished is kept.", file=sys.stderr)
        raise
    except OSError as error:
        if error.errno not in _DISK:
            raise
        sys.exit(f"radloom: {_DISK[error.errno]} ({error.filename or 'while writing'}); free some space and run again.")


if __name__ == "__main__":
    main()
