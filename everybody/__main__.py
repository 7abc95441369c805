"""`python -m everybody`, as torchrun starts it."""

from .cli import main

main()
