"""Secrets are encrypted before they are stored.

Fernet (AES-128-CBC and HMAC-SHA256) from ``cryptography``, its keys derived with HKDF-SHA256 from what people choose as
``KANCA_SECRET_KEY``, so that any text may be one. The first key encrypts, all of them decrypt: a key is replaced by
putting a new one in front, encrypting everything anew, and taking the old one away.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kanca.errors import InvalidSetting
from kanca.settings import MIN_KEY_LENGTH, Settings
from kanca.storage.dialects import key_file_of

SETTING = "KANCA_SECRET_KEY"


class SecretBox:
    """Encrypts and decrypts with ``keys``, the newest first."""

    def __init__(self, keys: Sequence[str], source: str = SETTING) -> None:
        """``source`` is where the keys were found: what people are told to mend."""
        self._fernets = [Fernet(urlsafe_b64encode(_derive(key, b"kanca stored secrets"))) for key in keys]
        self._keys = tuple(keys)
        self._source = source

    def seal(self, value: bytes) -> bytes:
        """Encrypt with the first key."""
        return self._fernets[0].encrypt(value)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt with whichever key fits. Raises InvalidSetting when none does."""
        return self._try_all(sealed)[1]

    def is_current(self, sealed: bytes) -> bool:
        """Whether it is sealed with the first key. Raises InvalidSetting when no key opens it."""
        return self._try_all(sealed)[0] == 0

    def derived(self, label: str) -> tuple[bytes, ...]:
        """A key of 32 bytes for another purpose, which ``label`` names, from each of the keys; the newest first."""
        return tuple(_derive(key, b"kanca derived key: " + label.encode()) for key in self._keys)

    def _try_all(self, sealed: bytes) -> tuple[int, bytes]:
        for position, fernet in enumerate(self._fernets):
            try:
                return position, fernet.decrypt(sealed)
            except InvalidToken:
                continue
        raise InvalidSetting(
            f"{self._source} does not have the key that the stored secrets are encrypted with."
            " Put that key back, behind the newer ones; if it is lost, see `kanca secret forget`"
            " (docs/guides/access.md, under Recovery, says more)"
        )


def load_secret_box(settings: Settings) -> SecretBox:
    """Make the box from ``KANCA_SECRET_KEY``, else from the file ``kanca.key`` beside a SQLite database.

    The setting has its keys separated by commas, the file has one on each line; the newest comes first. The file is
    made, readable by its owner only, when there is none. Raises InvalidSetting when a key is too short, and when there
    is none and the database is on a server.
    """
    if settings.secret_key is not None:
        return SecretBox(_checked(settings.secret_key.get_secret_value().split(","), SETTING))
    path = key_file_of(settings.database_url)
    if path is None:
        raise InvalidSetting(
            "KANCA_SECRET_KEY must be set: it encrypts the secrets in the database."
            " Make one with `openssl rand -hex 32`, and give every instance the same"
        )
    return SecretBox(_checked(_read_or_make(path).splitlines(), str(path)), str(path))


def _checked(keys: Sequence[str], source: str) -> list[str]:
    found = [key.strip() for key in keys if key.strip()]
    if not found:
        raise InvalidSetting(f"{source} holds no key")
    if any(len(key) < MIN_KEY_LENGTH for key in found):
        raise InvalidSetting(f"{source}: each key must have at least {MIN_KEY_LENGTH} characters")
    return found


def _derive(key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key.encode())


def _read_or_make(path: Path) -> str:
    try:
        if not path.exists():
            _make(path)
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be read or made: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidSetting(f"{path} holds something else than keys") from None


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
