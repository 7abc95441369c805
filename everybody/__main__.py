"""The entry point: the `everybody` command, and `python -m everybody`, as torchrun starts it."""

from __future__ import annotations

import sys

INTERRUPTED = 130  # as shells say it of a command that Ctrl-C ended


def main() -> None:
    """Run the command line. Ctrl-C, also while libraries are still being loaded, is one line."""
    try:
        from .cli import main as run

        run()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            print("everybody: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
