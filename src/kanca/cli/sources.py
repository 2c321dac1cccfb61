"""Where secrets stand that a manifest speaks of: in the environment or in files, and never in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kanca.cli.options import read_file
from kanca.errors import InvalidInput

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Keeper(StrEnum):
    """What keeps a secret."""

    ENV = "env"
    FILE = "file"


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One secret's place: an environment variable, or a file whose text it is but for the last line's end."""

    keeper: Keeper
    name: str

    def read(self, environ: Mapping[str, str]) -> str:
        """The secret. Raises InvalidInput when it is not there, or is empty."""
        if self.keeper is Keeper.ENV:
            found, what = environ.get(self.name, ""), f"the environment variable {self.name} is not set"
        else:
            found, what = _text_of(self.name), f"the file {self.name} is empty"
        if not found:
            raise InvalidInput(what)
        return found


def read_sources(
    sources: Iterable[Source], environ: Mapping[str, str]
) -> tuple[dict[Source, str], dict[Source, str]]:
    """The secrets that are there, and why the others are not."""
    found, missing = {}, {}
    for source in set(sources):
        try:
            found[source] = source.read(environ)
        except InvalidInput as error:
            missing[source] = error.detail
    return found, missing


def _text_of(name: str) -> str:
    try:
        text = read_file(name).decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"the file {name} is not UTF-8") from None
    except InvalidInput as error:
        raise InvalidInput(f"the file {error.detail.removesuffix('.')}") from None
    return text.removesuffix("\n").removesuffix("\r")
