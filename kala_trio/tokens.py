"""Tokens: who may ask what over the API, in a file beside the database that holds only hashes.

Where the file is, a request needs a token; whoever revokes the last one locks the API, and whoever
removes the file opens it.
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from kala_trio.core.errors import Refused, Unavailable

_BEGINNING = "kt_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")


class Role(StrEnum):
    """What a token allows, each role all that the ones before it do."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def covers(self, other: "Role") -> bool:
        """Tell whether this allows what ``other`` does."""
        roles = [*Role]
        return roles.index(self) >= roles.index(other)


class Token(Struct, frozen=True):
    """A token that was made for ``name``; of itself there is only its SHA-256, in hex."""

    name: str
    role: Role
    created_at: datetime
    digest: str


class Tokens:
    """The tokens of the database at ``db``; other processes may change them meanwhile."""

    def __init__(self, db: Path) -> None:
        """Read nothing yet."""
        self._path = db.with_name(f"{db.name}-tokens")
        self._seen: tuple[int, int] | None = None
        self._tokens: tuple[Token, ...] | None = None

    def are_asked_for(self) -> bool:
        """Tell whether a request needs a token; raises Unavailable as ``find`` does."""
        return self._read() is not None

    def all(self) -> tuple[Token, ...]:
        """Return all of them, the oldest first; raises Unavailable as ``find`` does."""
        return self._read() or ()

    def find(self, secret: str) -> Token | None:
        """Return the token of that secret; it takes as long whichever it is, or if it is none.

        Raises:
            Unavailable: the file is there, but can't be read.
        """
        digest = _digest(secret)
        found = [each for each in self.all() if hmac.compare_digest(each.digest, digest)]
        return found[0] if found else None

    def new(self, name: str, role: Role, at: datetime) -> str:
        """Make a token, and return its secret, which is kept nowhere.

        Raises:
            Refused: the name is none, or taken.
            Unavailable: the file can't be read or written.
        """
        if not _NAME.fullmatch(name):
            problem = "must be letters, digits and . _ @ -, 100 at most"
            raise Refused("NAME", problem, found=name, example='"ada"')
        secret = _BEGINNING + secrets.token_urlsafe(32)
        with self._changing() as tokens:
            if any(each.name == name for each in tokens):
                raise Refused("NAME", "is taken", found=name, example=f'"{name}-2"')
            tokens.append(Token(name, role, at, _digest(secret)))
        return secret

    def revoke(self, name: str) -> None:
        """Let a token allow nothing any more.

        Raises:
            Refused: there is none of that name.
            Unavailable: the file can't be read or written.
        """
        with self._changing() as tokens:
            left = [each for each in tokens if each.name != name]
            if len(left) == len(tokens):
                names = ", ".join(each.name for each in tokens) or "none"
                raise Refused("NAME", "there is no such token", found=name, example=names)
            tokens[:] = left

    def _read(self) -> tuple[Token, ...] | None:
        """Return what the file holds, None where there is none; anew only if it has changed."""
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns)
            if seen != self._seen:
                self._tokens = _DECODER.decode(self._path.read_bytes())
                self._seen = seen
        except FileNotFoundError:
            self._seen = self._tokens = None
        except (OSError, msgspec.MsgspecError) as error:
            raise _trouble(self._path, "read", error) from error
        return self._tokens

    @contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        """Lend the tokens, and put what was made of them in the place of the file, or nothing."""
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self._path.parent) as directory:
                tokens = list(self._read() or ())
                yield tokens
                descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with open(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(tokens))
                    file.flush()
                    os.fsync(descriptor)
                beside.replace(self._path)
                os.fsync(directory)
        except OSError as error:
            raise _trouble(self._path, "written", error) from error


@contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """Keep others from changing tokens there meanwhile; yield a descriptor of it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


_DECODER = msgspec.json.Decoder(tuple[Token, ...])


def _digest(secret: str) -> str:
    # A secret of 256 random bits needs no slow hash.
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _trouble(path: Path, what: str, error: Exception) -> Unavailable:
    why = error.strerror if isinstance(error, OSError) else error
    return Unavailable(f"tokens: {path} cannot be {what}: {why}")
