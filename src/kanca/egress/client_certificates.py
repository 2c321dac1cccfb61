"""Client certificates (mTLS): whether they can be, and TLS that shows them."""

from __future__ import annotations

import secrets
import ssl
import tempfile

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


class BadClientCertificate(ValueError):
    """What cannot be a client certificate; ``key`` is what is wrong, and ``problem`` says how."""

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(f"{key}: {problem}")


def check_client_certificate(certificate: str, private_key: str) -> None:
    """Make sure that a certificate (PEM, perhaps with its chain behind it) and its key can be used.

    Raises BadClientCertificate, which quotes neither.
    """
    show_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, private_key)


def show_client_certificate(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    """Let connections that are made with ``context`` show the certificate. Raises BadClientCertificate.

    OpenSSL's binding takes keys only out of files. What stands in the file, for a moment, is the key encrypted with a
    password that is nowhere else.
    """
    password = secrets.token_bytes(32).hex()
    encrypted = _encrypted_key(certificate, private_key, password)
    with tempfile.NamedTemporaryFile("wb", prefix="kanca-", suffix=".pem") as file:
        file.write(encrypted + b"\n" + certificate.encode())
        file.flush()
        try:
            context.load_cert_chain(file.name, password=password)
        except ssl.SSLError:
            raise BadClientCertificate("certificate", "cannot be used for TLS, or its key cannot") from None


def _encrypted_key(certificate: str, private_key: str, password: str) -> bytes:
    """The key in PEM, encrypted. Raises BadClientCertificate when one of both cannot be read, or they do not match."""
    try:
        first = x509.load_pem_x509_certificates(certificate.encode())[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise BadClientCertificate("certificate", "is no certificate in PEM") from None
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except TypeError:
        raise BadClientCertificate("private_key", "is encrypted with a passphrase; give it without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadClientCertificate("private_key", "is no private key in PEM") from None
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != first.public_bytes(*form):
        raise BadClientCertificate("private_key", "is not the key of the first certificate")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
