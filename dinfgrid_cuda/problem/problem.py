"""Problem: terms on a domain, and the unknown numbers of its equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dinfgrid_cuda.checks import check_instance
from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.geometry.samplers import mix
from dinfgrid_cuda.geometry.shape import Shape

from .given import Numbers
from .term import Term


class Problem:
    """Terms on a box or another shape, whose loss is the sum of their weighted mean squares.

    Args:
        domain: the shape that `Interior()` and `Boundary()` refer to, a `Box` for instance.
        terms: at least one, with different names.
        parameters: unknown numbers of the equations by name, found together with the field (an
            inverse problem); the residuals use these `torch.nn.Parameter` objects themselves.

    Raises:
        TypeError, ValueError: one line that says what is wrong.
    """

    def __init__(
        self,
        domain: Shape,
        terms: Sequence[Term],
        parameters: Mapping[str, nn.Parameter] | None = None,
    ) -> None:
        check_instance("Problem", "domain", domain)
        if not isinstance(domain, Shape):
            raise TypeError(
                f"Problem: domain is {type(domain).__name__!r}; pass a Box or another shape, such "
                "as Disk((0, 0), 1)."
            )
        bounding_box(domain)
        if not terms or not all(isinstance(term, Term) for term in terms):
            raise TypeError("Problem: terms must be a list of at least one Term.")
        names = [term.name for term in terms]
        if len(set(names)) != len(names):
            raise ValueError(f"Problem: terms are named {names}; give each a name of its own.")
        self.domain = domain
        self.terms = tuple(terms)
        self.parameters = dict(parameters or {})
        for name, parameter in self.parameters.items():
            if isinstance(parameter, Tensor) and parameter.is_complex():
                raise TypeError(
                    f"Problem: parameter {name!r} is complex; make it two real ones, p = "
                    "torch.nn.Parameter(torch.view_as_real(z)), and use torch.view_as_complex(p) "
                    "in the residuals."
                )
            if not isinstance(parameter, nn.Parameter) or not parameter.is_floating_point():
                raise TypeError(
                    f"Problem: parameter {name!r} is a {type(parameter).__name__}; pass "
                    "torch.nn.Parameter(torch.tensor(0.1)), and use it in a residual."
                )
        # Those that are frozen are known.
        known = [name for name, p in self.parameters.items() if not p.requires_grad]
        self.parameters = {n: p for n, p in self.parameters.items() if n not in known}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms, in their order."""
        return tuple(term.name for term in self.terms)

    def draw(
        self, index: int, seed: int, step: int, dtype: torch.dtype, device: torch.device
    ) -> tuple[Tensor, Numbers | None]:
        """Returns points and data of a term; terms with the same sampler get different points."""
        term = self.terms[index]
        return term.draw(self.domain, mix(seed, index), step, dtype, device)
