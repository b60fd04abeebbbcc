"""``python -m dinfgrid_cuda`` is the command `dinfgrid`."""

from .cli import main

main()
