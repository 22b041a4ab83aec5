"""The signing key: one per installation, safe at rest, and the bytes it signs."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import InputError, KeyMissingError
from remanence.governance.signing import SigningKey, canonical, fingerprint, parsed, public_from, public_pem, verify


def test_a_key_is_made_once_and_stays(tmp_path):
    path = tmp_path / "made" / "here" / "signing.pem"
    key = SigningKey.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    again = SigningKey.open(path, create=False)
    assert again.public == key.public
    assert len(key.public) == 32
    assert again.fingerprint == fingerprint(key.public)
    assert len(key.fingerprint) == 16


def test_the_file_is_pkcs8_that_other_programs_read(tmp_path):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = SigningKey.open(tmp_path / "signing.pem")
    data = (tmp_path / "signing.pem").read_bytes()
    assert data.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert load_pem_private_key(data, None).public_key().public_bytes_raw() == key.public


def test_what_it_signs_holds_for_this_key_and_message_only(tmp_path):
    key, other = SigningKey.open(tmp_path / "a.pem"), SigningKey.open(tmp_path / "b.pem")
    signature = key.sign(b"message")
    assert verify(key.public, signature, b"message")
    assert not verify(key.public, signature, b"massage")
    assert not verify(other.public, signature, b"message")
    assert not verify(key.public, bytes(64), b"message")
    assert not verify(key.public, signature[:-1], b"message")
    assert not verify(key.public[:-1], signature, b"message")
    assert not verify(b"", b"", b"message")


def test_a_known_vector():
    """RFC 8032, section 7.1, test 2."""
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert verify(public, signature, bytes.fromhex("72"))
    assert not verify(public, signature, bytes.fromhex("73"))


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    path = tmp_path / "signing.pem"
    SigningKey.open(path)
    path.chmod(mode)
    with pytest.raises(KeyMissingError, match=r"by others.*chmod 600"):
        SigningKey.open(path)


def test_a_missing_key_is_not_made_unasked(tmp_path):
    with pytest.raises(KeyMissingError, match="remanence audit key"):
        SigningKey.open(tmp_path / "signing.pem", create=False)
    assert SigningKey.found(tmp_path / "signing.pem") is None
    assert not list(tmp_path.iterdir())


def _pem(kind: str) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    private = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else ed25519.Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(b"secret") if kind == "locked" else NoEncryption()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "ec", "locked", "binary"])
def test_a_damaged_or_foreign_key_is_refused_and_left_alone(tmp_path, kind):
    contents = {"empty": b"", "text": b"hello", "cut": _pem("ed")[:70], "binary": bytes(range(256))}
    data = contents.get(kind) or (b"" if kind == "empty" else _pem(kind))
    path = tmp_path / "signing.pem"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(KeyMissingError, match="REMANENCE_SIGNING_KEY"):
        SigningKey.open(path)
    assert path.read_bytes() == data


def test_a_folder_or_a_pipe_is_no_key(tmp_path):
    with pytest.raises(KeyMissingError, match="not a file"):
        SigningKey.open(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyMissingError, match="not a file"):
        SigningKey.open(tmp_path / "pipe")


def test_no_place_for_a_key(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(KeyMissingError):
        SigningKey.open(tmp_path / "file" / "signing.pem")


def test_processes_that_create_it_at_once_end_with_one_key(tmp_path, child):
    workers = [child(__file__, [tmp_path / "keys"]) for _ in range(4)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for trial in range(20):
        for worker in workers:
            worker.stdin.write(f"{trial}\n")
            worker.stdin.flush()
    outcomes = [worker.communicate(timeout=60) for worker in workers]
    for trial in range(20):
        path = tmp_path / "keys" / f"{trial}.pem"
        key = SigningKey.open(path, create=False).public.hex()
        assert [out.split()[trial] for out, _ in outcomes] == [key] * 4
    assert len(list((tmp_path / "keys").iterdir())) == 20


def test_public_keys_come_from_hex_and_from_files(tmp_path):
    key = SigningKey.open(tmp_path / "signing.pem")
    (tmp_path / "key.pub").write_text(public_pem(key.public))
    (tmp_path / "key.hex").write_text(key.public.hex() + "\n")
    assert public_from(key.public.hex()) == key.public
    assert public_from(str(tmp_path / "key.pub")) == key.public
    assert public_from(tmp_path / "key.hex") == key.public


def test_what_is_no_public_key(tmp_path):
    with pytest.raises(KeyMissingError):
        public_from("ab" * 31)
    with pytest.raises(KeyMissingError):
        public_from(tmp_path / "none")
    with pytest.raises(KeyMissingError):
        public_from("a\0b")
    with pytest.raises(KeyMissingError):
        public_from("ab " * 20 + "abab")  # 64 characters, 22 bytes
    SigningKey.open(tmp_path / "signing.pem")
    (tmp_path / "text").write_text("hello")
    for name in ("text", "signing.pem"):  # a private key is no public one
        with pytest.raises(InputError):
            public_from(tmp_path / name)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(_JSON)
def test_canonical_bytes_say_the_value_and_nothing_else(value):
    data = canonical(value)
    assert json.loads(data) == value
    assert canonical(json.loads(data)) == data
    assert parsed(data) == value


def test_canonical_is_one_form():
    assert canonical({"b": 1, "a": ["ü", None, True]}) == '{"a":["ü",null,true],"b":1}'.encode()
    for wrong in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(ValueError):
            canonical({"a": wrong})


@pytest.mark.parametrize(
    "data",
    [b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1}\n', b'{"a":"\\u00e4"}', b"NaN", b"1e2", b"{", b"\xff", b"[" * 10**5],
    ids=["space", "order", "twice", "newline", "escape", "nan", "exponent", "cut", "bytes", "deep"],
)  # fmt: skip
def test_other_forms_are_refused(data):
    with pytest.raises(ValueError):
        parsed(data)


if __name__ == "__main__":
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: F401 (loaded before the race begins)

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    say("ready")
    for line in sys.stdin:
        say(SigningKey.open(Path(sys.argv[1]) / f"{line.strip()}.pem").public.hex())
