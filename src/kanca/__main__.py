"""``python -m kanca`` is ``kanca``."""

from kanca.cli.main import run

if __name__ == "__main__":
    run()
