"""Name code that nothing uses: vulture, without its guesses about variables.

What is a mere variable to vulture is a column, a field of a model or a member of an enum here: read by name from
outside. Functions, methods, classes and properties that nobody calls are dead. Settings are in pyproject.toml.
"""

from __future__ import annotations

import sys

from vulture import Vulture
from vulture.config import make_config


def main() -> int:
    """Print what is dead; return how much it is, as an exit code."""
    config = make_config()
    vulture = Vulture(ignore_names=config["ignore_names"], ignore_decorators=config["ignore_decorators"])
    vulture.scavenge(config["paths"], exclude=config["exclude"])
    dead = [
        item
        for item in vulture.get_unused_code(min_confidence=config["min_confidence"])
        if item.typ not in {"variable", "attribute"}
    ]
    for item in dead:
        print(item.get_report())
    return min(len(dead), 1)


if __name__ == "__main__":
    sys.exit(main())
