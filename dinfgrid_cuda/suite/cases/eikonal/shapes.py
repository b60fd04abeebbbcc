"""Analytic shapes: exact signed distance, and points on the surface with exact normals.

Distances are negative inside. The formulas follow from the geometry: distance to a centre, to a
circle, and to a box by the vector of excesses over its faces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Shape(Protocol):
    """What the Eikonal problem needs of a shape inside [-1, 1]^3."""

    def distance(self, x: Array) -> Array:
        """The exact signed distance [N] of points [N, 3] to the surface."""
        ...

    def sample(self, n: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Points [n, 3] uniform by area, and their outward unit normals [n, 3]."""
        ...


@dataclass(frozen=True)
class Sphere:
    """The sphere |x| = radius."""

    radius: float = 0.6

    def distance(self, x: Array) -> Array:
        """The signed distance [N]: |x| - radius."""
        return np.asarray(np.linalg.norm(x, axis=1) - self.radius)

    def sample(self, n: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Points [n, 3] and normals [n, 3]; directions of a normal distribution are uniform."""
        normals = random.standard_normal((n, 3))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return self.radius * normals, normals


@dataclass(frozen=True)
class Torus:
    """A tube of radius ``minor`` around the circle of radius ``major`` in the plane z = 0."""

    major: float = 0.5
    minor: float = 0.22

    def distance(self, x: Array) -> Array:
        """The signed distance [N]: that to the circle, less the tube's radius."""
        from_circle = np.hypot(x[:, 0], x[:, 1]) - self.major
        return np.asarray(np.hypot(from_circle, x[:, 2]) - self.minor)

    def sample(self, n: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Points [n, 3] and normals [n, 3], by rejection: area goes with major + minor cos(v)."""
        around = random.uniform(0, 2 * math.pi, n)
        tube = np.empty(0)
        while len(tube) < n:
            v = random.uniform(0, 2 * math.pi, 2 * n)
            share = (self.major + self.minor * np.cos(v)) / (self.major + self.minor)
            tube = np.concatenate([tube, v[random.random(2 * n) < share]])
        tube = tube[:n]
        ring = np.stack([np.cos(around), np.sin(around), np.zeros(n)], axis=1)
        normals = np.cos(tube)[:, None] * ring
        normals[:, 2] = np.sin(tube)
        return self.major * ring + self.minor * normals, normals


@dataclass(frozen=True)
class Cuboid:
    """A box centred at the origin with half its edges ``half``."""

    half: tuple[float, float, float] = (0.6, 0.45, 0.35)

    def distance(self, x: Array) -> Array:
        """The signed distance [N]: the length of the excesses over the faces, or the largest."""
        excess = np.abs(x) - np.asarray(self.half)
        outside = np.linalg.norm(np.maximum(excess, 0), axis=1)
        return np.asarray(outside + np.minimum(excess.max(axis=1), 0))

    def sample(self, n: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Points [n, 3] and normals [n, 3]: a face by its area, then a uniform point of it."""
        half = np.asarray(self.half)
        areas = half.prod() / half
        axis = random.choice(3, n, p=areas / areas.sum())
        side = random.choice([-1.0, 1.0], n)
        points = random.uniform(-1, 1, (n, 3)) * half
        index, normals = np.arange(n), np.zeros((n, 3))
        points[index, axis] = side * half[axis]
        normals[index, axis] = side
        return points, normals


SHAPES: dict[str, Shape] = {"sphere": Sphere(), "torus": Torus(), "box": Cuboid()}
