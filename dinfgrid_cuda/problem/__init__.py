"""What is to be solved: terms on regions, and their loss as a sum over points."""

from .objective import Objective
from .point_sum import LocalSum, PointSum
from .problem import Problem
from .term import Term

__all__ = ["LocalSum", "Objective", "PointSum", "Problem", "Term"]
