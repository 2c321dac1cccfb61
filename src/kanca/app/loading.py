"""Finding the app that ``--app module:object`` names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from kanca.app.hooks import Kanca
from kanca.errors import InvalidSetting


def load_app(name: str | None) -> Kanca:
    """The ``Kanca`` object that ``module:object`` names, the working directory included; without a name an empty one.

    Raises InvalidSetting when there is none. What the module itself raises is passed on, with its traceback.
    """
    if name is None:
        return Kanca()
    module_name, separator, path = name.partition(":")
    if not separator or not module_name or not path:
        raise InvalidSetting(f"KANCA_APP is `module:object`, not {name!r}")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            raise InvalidSetting(f"KANCA_APP: there is no module {module_name!r}") from None
        raise
    for part in path.split("."):
        if not hasattr(found, part):
            raise InvalidSetting(f"KANCA_APP: {module_name!r} has no {path!r}")
        found = getattr(found, part)
    if not isinstance(found, Kanca):
        raise InvalidSetting(f"KANCA_APP: {name!r} is no Kanca object")
    return found
