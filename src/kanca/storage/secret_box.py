"""Secrets are encrypted before they are stored.

Fernet (AES-128-CBC and HMAC-SHA256) from ``cryptography``, its keys derived with HKDF-SHA256 from what people choose as
``KANCA_SECRET_KEY``, so that any text may be one. The first key encrypts, all of them decrypt.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kanca.errors import InvalidSetting
from kanca.settings import Settings
from kanca.storage.dialects import key_file_of

MIN_KEY_LENGTH = 16


class SecretBox:
    """Encrypts and decrypts with ``keys``, the newest first."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derive(key)) for key in keys])

    def seal(self, value: bytes) -> bytes:
        """Encrypt with the first key."""
        return self._fernet.encrypt(value)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt with whichever key fits. Raises InvalidSetting when none does."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise InvalidSetting(
                "KANCA_SECRET_KEY is not the key that the stored secrets are encrypted with"
            ) from None


def load_secret_box(settings: Settings) -> SecretBox:
    """Make the box from ``KANCA_SECRET_KEY``, else from the file ``kanca.key`` beside a SQLite database.

    The file is made, readable by its owner only, when there is none. Raises InvalidSetting when a key is too short, and
    when there is none and the database is on a server.
    """
    if settings.secret_key is not None:
        keys = [key.strip() for key in settings.secret_key.get_secret_value().split(",") if key.strip()]
        if not keys or any(len(key) < MIN_KEY_LENGTH for key in keys):
            raise InvalidSetting(f"KANCA_SECRET_KEY: each key must have at least {MIN_KEY_LENGTH} characters")
        return SecretBox(keys)
    path = key_file_of(settings.database_url)
    if path is None:
        raise InvalidSetting(
            "KANCA_SECRET_KEY must be set: it encrypts the secrets in the database."
            " Make one with `openssl rand -hex 32`, and give every instance the same"
        )
    return SecretBox([_read_or_make(path)])


def _derive(key: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"kanca stored secrets").derive(
        key.encode()
    )
    return urlsafe_b64encode(derived)


def _read_or_make(path: Path) -> str:
    try:
        if not path.exists():
            _make(path)
        key = path.read_text().strip()
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be read or made: {error.strerror}") from error
    if len(key) < MIN_KEY_LENGTH:
        raise InvalidSetting(f"{path} holds no key")
    return key


def _make(path: Path) -> None:
    # Written aside and linked: of two processes that start at once one makes the file, and both read it whole.
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".kanca.key-")  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        Path(aside).unlink()
