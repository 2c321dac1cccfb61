"""Where ``kanca listen`` stopped: one small file for each server, endpoint and address it forwards to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kanca.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Listening:
    """What is listened to, and where it goes."""

    server: str
    endpoint: str | None
    forward: str

    @property
    def name(self) -> str:
        """A file name of its own."""
        text = json.dumps([self.server.rstrip("/"), self.endpoint, self.forward])
        return hashlib.sha256(text.encode()).hexdigest()[:24] + ".json"


def state_directory(environ: Mapping[str, str]) -> Path:
    """Where state is kept: in ``$XDG_STATE_HOME``, by default ``~/.local/state``."""
    given = environ.get("XDG_STATE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    return base / "kanca" / "listen"


class State:
    """The file."""

    def __init__(self, path: Path, listening: Listening) -> None:
        self.path = path
        self._listening = listening

    def read(self) -> str | None:
        """The place behind the last event that was forwarded; None when nothing was ever listened to.

        Raises InvalidInput when the file cannot be read, or is another's.
        """
        try:
            stored = json.loads(self.path.read_bytes())
            place, about = str(stored["place"]), Listening(**stored["listening"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            raise InvalidInput(f"{self.path} cannot be read. Without it, listening begins now.") from None
        if about != self._listening:
            raise InvalidInput(
                f"{self.path} is of another `kanca listen`: {about.forward} from {about.server}."
            )
        return place

    def write(self, place: str) -> None:
        """Keep a place, whole or not at all. Raises InvalidInput when the file cannot be written."""
        about = self._listening
        listening = {"server": about.server, "endpoint": about.endpoint, "forward": about.forward}
        text = json.dumps({"place": place, "listening": listening}, indent=2)
        fresh = self.path.with_suffix(f".{os.getpid()}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh.write_text(text + "\n")
            fresh.replace(self.path)
        except OSError as error:
            raise InvalidInput(f"{self.path} cannot be written: {error.strerror}.") from None
