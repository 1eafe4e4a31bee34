"""Keep the cluster keys of this node: draw, seal, open and store them, and tell the wire.

Decides nothing: when a key is introduced and used is node/rotation.py's business. Source: AES-GCM (RFC 5116) under a
key derived for this purpose alone (HKDF, RFC 5869).
"""

import os
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from komainu.model.report import Level, Note
from komainu.node.interface import AcceptKey, DrawKey, KeyAccepted, KeyDrawn, KeyEffect, UseKey
from komainu.node.key import KEY_BYTES, write_keys
from komainu.ring.wire import Wire

_NONCE_BYTES: Final = 12


class KeyKeeper:
    """The keys of one node; `report` feeds the drive, `note` the log."""

    def __init__(
        self,
        wire: Wire,
        path: str,
        report: Callable[[KeyDrawn | KeyAccepted], None],
        note: Callable[[Note], None],
    ) -> None:
        self._wire = wire
        self._path = path
        self._report = report
        self._note = note

    def carry_out(self, effect: KeyEffect) -> None:
        """Do one of the three."""
        match effect:
            case DrawKey(client=client, user=user):
                key = os.urandom(KEY_BYTES)
                sealed = seal_key(key, self._wire.keys[0])
                self._report(KeyDrawn(client, user, sealed, fingerprint(key)))
            case AcceptKey(sealed=sealed, fingerprint=name):
                self._report(KeyAccepted(name, self._accept(sealed, name)))
            case UseKey(fingerprint=name):
                known = [key for key in self._wire.keys if fingerprint(key) == name]
                if known:
                    self._wire.use(known[0])
                    if fault := self._store():
                        text = (
                            f"{fault}: after a restart this node seals with the key before, which the others still open. "
                            f"Mend that, then: komainu key rotate"
                        )
                        self._note(Note(Level.ERROR, "key.unwritable", text))
                    self._note(Note(Level.NOTICE, "key.in-use", f"the cluster key {name} is in use"))

    def _accept(self, sealed: bytes, name: str) -> str:
        """Open with one more key, now and after a restart; return why that cannot be, or nothing."""
        opened = open_key(sealed, self._wire.keys)
        if opened is None or fingerprint(opened) != name:
            return f"it cannot be opened with the keys in {self._path}: copy that file from another node and restart komainu"
        self._wire.accept(opened)
        return self._store()

    def _store(self) -> str:
        """Write the keys to the file; return why that cannot be, or nothing."""
        try:
            write_keys(self._path, self._wire.keys)
        except OSError as error:
            return f"{self._path} cannot be written ({error.strerror})"
        return ""


def fingerprint(key: bytes) -> str:
    """Return a name for a key that tells nothing of it."""
    return sha256(b"komainu key\0" + key).hexdigest()[:16]


def seal_key(key: bytes, under: bytes) -> bytes:
    """Seal a key under another."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _box(under).encrypt(nonce, key, None)


def open_key(sealed: bytes, keys: tuple[bytes, ...]) -> bytes | None:
    """Open a sealed key with one of these; None when none fits."""
    for under in keys:
        try:
            key = _box(under).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            continue
        return key if len(key) == KEY_BYTES else None
    return None


def _box(under: bytes) -> AESGCM:
    info = b"komainu key rotation 1"
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(under))
