"""Classical solvers of the problems that `bench.accuracy` solves, a file for each family."""
