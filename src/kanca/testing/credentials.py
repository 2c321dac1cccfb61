"""Credentials that a test gives."""

from __future__ import annotations

from collections.abc import Mapping

from kanca.domain.credential import Credential, CredentialKind, credential_not_found, read_credential


class GivenCredentials:
    """Credentials by name, as values: ``{token}``, ``{username, password}``, ``{name, value}`` (a header's).

    ``kind`` among the values says another kind.
    """

    def __init__(self, given: Mapping[str, Credential | Mapping[str, str]]) -> None:
        """Raises ImpossibleCredential."""
        self._given = {name: _read(name, each) for name, each in given.items()}

    async def get(self, name: str) -> Credential:
        """The credential with that name. Raises CredentialNotFound."""
        if name not in self._given:
            raise credential_not_found(name)
        return self._given[name]


def _read(name: str, given: Credential | Mapping[str, str]) -> Credential:
    if isinstance(given, Credential):
        return given
    values = dict(given)
    usual = CredentialKind.HEADER
    if "token" in values:
        usual = CredentialKind.BEARER
    elif "username" in values:
        usual = CredentialKind.BASIC
    return read_credential(name, values.pop("kind", usual), values)
