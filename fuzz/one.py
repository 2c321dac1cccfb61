"""``python -m fuzz.one <target> <folder> [options of libFuzzer]``: one target in a process of its own."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path

import atheris
import structlog


def main() -> None:
    """Fuzz until libFuzzer's options say stop; an exception ends the process with another code than 0."""
    name, folder, *options = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with atheris.instrument_imports(include=["kanca"]):
        target = importlib.import_module(f"fuzz.{name}").TARGET
    corpus = Path(folder, "corpus")
    corpus.mkdir()
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = Path(folder, "words.txt")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    arguments = [sys.argv[0], f"-dict={words}", f"-artifact_prefix={folder}/", *options, str(corpus)]
    atheris.Setup(arguments, target.check)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
