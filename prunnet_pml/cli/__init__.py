"""``prunnet``: the command line. It parses, calls the public API, and prints.

A command is a function with type hints, in the file of its family; ``COMMANDS`` in
``application.py`` lists all of them. What is printed, and how errors end a command, stands in
``printing.py``.
"""

from prunnet_pml.cli.application import app

__all__ = ["app"]
