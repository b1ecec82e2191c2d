"""Files that are whole or absent: written under a temporary name, then renamed; and their hashes."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from radloom.errors import RadloomError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path with the same suffixes beside `path`, renamed to `path` when the block succeeds.

    Raises RadloomError when the disk refuses (full, read-only, no such folder); nothing half-written stays.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}.partial.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `path` that takes the place of `path` when the block succeeds."""
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".partial.", dir=path.parent))
        temporary.chmod(0o755)
        yield temporary
        _replace_folder(temporary, path)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _replace_folder(new: Path, path: Path) -> None:
    old = new.with_name(new.name + ".old")
    if path.exists():
        path.replace(old)
    new.replace(path)
    shutil.rmtree(old, ignore_errors=True)


def refused(path: Path, error: OSError) -> RadloomError:
    """The user's error for a file that the operating system would not write or read."""
    return RadloomError(
        f"cannot write {path}: {error.strerror or error}",
        expected="a writable place with enough free space",
        do="free some space or choose another --out",
    )


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises RadloomError when it is absent or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RadloomError(f"cannot read {path}: {error}", expected="a JSON file written by radloom") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """The SHA-256 of a text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
