"""The signing key of an installation: Ed25519 (RFC 8032), and the bytes that are signed.

Checkpoints of the journal and receipts of a forget are JSON objects. What is signed is their canonical form, so that any
program can build the same bytes again; a `format` inside keeps one kind of statement from passing for another.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remanence.errors import InputError, KeyMissingError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC_BYTES = 32
"""Length of a raw public key."""
SIGNATURE_BYTES = 64
"""Length of a signature."""
_MOST = 1 << 16  # bytes of a key file; a key takes some 120
_ELSEWHERE = "Move it away, or name another file with REMANENCE_SIGNING_KEY; a new key is made where there is none."


class SigningKey:
    """The private key of one installation. It is in no store, and is never printed."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes_raw()
        """The raw public key, 32 bytes."""

    @classmethod
    def open(cls, path: str | Path, *, create: bool = True) -> SigningKey:
        """The key in this PKCS8 PEM file; with `create` a new one, mode 0600, where there is none.

        Processes that create it at once end with the same key.

        Raises
        ------
        KeyMissingError
            There is no key and none may be made; or the file is readable by others, damaged, or another kind of key.
        """
        path = Path(path).expanduser()
        data = _secret_bytes(path)
        if data is None and create:
            _make(path)
            data = _secret_bytes(path)
        if data is None:
            raise KeyMissingError(
                f"There is no signing key at {path}.",
                "Make one: remanence audit key, or name it: REMANENCE_SIGNING_KEY.",
            )
        return cls(_private_key(data, path))

    @classmethod
    def found(cls, path: str | Path) -> SigningKey | None:
        """The key in this file, None where there is no file; KeyMissingError for a file that `open` would refuse."""
        path = Path(path).expanduser()
        data = _secret_bytes(path)
        return None if data is None else cls(_private_key(data, path))

    @property
    def fingerprint(self) -> str:
        """A short name of the public key: see `fingerprint`."""
        return fingerprint(self.public)

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes."""
        return self._private.sign(message)


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the holder of this raw public key signed this message. False too for a key or signature of a wrong length."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def fingerprint(public: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a raw public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def canonical(obj: Any) -> bytes:
    """The one form of a JSON value that is signed: sorted keys, no spaces, UTF-8.

    Raises
    ------
    ValueError
        It holds a number that JSON does not have, or a text that is not Unicode.
    """
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def parsed(data: bytes) -> Any:
    """The JSON value of canonical bytes.

    Raises
    ------
    ValueError
        The bytes are not JSON, or not in its canonical form.
    """
    try:
        obj = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if canonical(obj) != data:
        raise ValueError("it is not in canonical form")
    return obj


def public_pem(public: bytes) -> str:
    """A raw public key as PEM, which other programs read."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def public_from(key: str | Path) -> bytes:
    """The raw public key that 64 hexadecimal digits, or a file with them or with PEM, hold.

    Raises
    ------
    KeyMissingError
        There is no such file.
    InputError
        It is no Ed25519 public key.
    """
    text = str(key).strip()
    if isinstance(key, str) and (raw := _hex(text)):
        return raw
    path = Path(text).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(_MOST)
    except (OSError, ValueError) as error:
        raise KeyMissingError(
            f"{text} is neither a public key in hexadecimal digits nor a file that can be read.",
            "Get it where the statements are signed: remanence audit key",
        ) from error
    return _hex(data.decode("utf-8", "replace").strip()) or _from_pem(data, path)


def _hex(text: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text) if len(text) == 2 * PUBLIC_BYTES else b""
    except ValueError:
        return None
    return raw if len(raw) == PUBLIC_BYTES else None  # fromhex passes over spaces


def _from_pem(data: bytes, path: Path) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        found = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise InputError(
            f"{path} does not hold an Ed25519 public key.",
            "Get it where the statements are signed: remanence audit key",
        )
    return found.public_bytes_raw()


def _private_key(data: bytes, path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a password
        raise KeyMissingError(
            f"{path} is not a signing key that can be read: it is damaged or locked.", _ELSEWHERE
        ) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise KeyMissingError(f"{path} holds another kind of key than Ed25519.", _ELSEWHERE)
    return found


def _secret_bytes(path: Path) -> bytes | None:
    """What the file holds, None where there is none. A file that others can read is refused before it is read."""
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe must not make us wait
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise KeyMissingError(f"The signing key {path} cannot be opened: {error}.", "Check its permissions.") from error
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise KeyMissingError(f"{path} is not a file.", _ELSEWHERE)
        if os.name == "posix" and found.st_mode & 0o077:
            raise KeyMissingError(
                f"The signing key {path} can be read by others (mode {stat.S_IMODE(found.st_mode):o}).",
                f"If nobody has read it: chmod 600 {path}; otherwise move it away, and a new one is made.",
            )
        return os.read(number, _MOST)
    finally:
        os.close(number)


def _make(path: Path) -> None:
    """Put a new key there, unless another process was first: a link appears whole, and never over another file."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(number)
            with suppress(FileExistsError):
                os.link(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise KeyMissingError(
            f"No signing key can be made at {path}: {error.strerror}.",
            "Make its folder writable, or name another place with REMANENCE_SIGNING_KEY.",
        ) from error
