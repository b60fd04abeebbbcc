"""``python -m dinfgrid_cuda`` is the command `dinfgrid`."""

from dinfgrid_cuda.suite.cli.main import main

main()
