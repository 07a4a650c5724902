"""The command line: finds the verb's module, runs it, and turns what users can mend into one sentence.

Nothing is imported before a verb needs it: --help and list answer at once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from evalkit.commands.output import complain
from evalkit.errors import EvalkitError
from evalkit.interrupts import Terminated, terminable
from evalkit.redaction import Plain
from evalkit.usage import USAGE, about

# Each is a module of evalkit.commands with a function main(words) that returns the exit status.
VERBS = (
    "run",
    "chat",
    "score",
    "report",
    "list",
    "parity",
    "ratings",
    "submit",
    "selfcheck",
    "audit",
    "diff",
    "watch",
    "compare",
    "plan",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    0 done, 1 not done or incomplete, 2 unknown command, 130 stopped by Ctrl-C, 143 by SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("--help", "-h", "help"):
        print(USAGE, end="")
        return 0
    if words[0] == "--version":
        from evalkit import __version__

        print(f"evalkit {__version__}")
        return 0
    if words[0] not in VERBS:
        complain(f"unknown command {words[0]!r}: type one of {', '.join(VERBS)}, or --help")
        return 2
    if {"--help", "-h"} & set(words[1:]) and words[0] != "run":  # which knows its choices
        print(about(words[0]), end="")
        return 0
    if logging.lastResort is not None:  # what prints the warnings of a program that sets up no logging
        logging.lastResort.setFormatter(Plain())
    try:
        with terminable():
            status: int = import_module(f"evalkit.commands.{words[0]}").main(words[1:])
    except EvalkitError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt as stop:
        complain("stopped; the answers so far are stored: run the same command again to go on")
        return 143 if isinstance(stop, Terminated) else 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return status
