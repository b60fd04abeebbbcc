"""The rows of `bench.accuracy`.

Published figures are as quoted in the papers: PINNacle (arXiv 2306.08827), PIG (2412.05994),
Hermite-NGP (2605.24774), ReCAP, PirateNet (2402.00326), FastLSQ (2602.10541), ∂∞-Grid (2601.10715).
"""

from __future__ import annotations

from .accuracy_row import (
    Goal,
    Row,
    box_row,
    elements,
    fast_lsq,
    image_row,
    layers,
    plain,
    plate_row,
)

IMAGES = [
    image_row("gradient", "32.24 dB, 25 s on an H100 (∂∞-Grid)", Goal(32.2, 2, higher=True)),
    image_row("laplacian", "12.2 dB, 15 min (∂∞-Grid)", Goal(37.5, 5, higher=True)),
]
HELMHOLTZ = [
    Row(
        "helmholtz-pml",
        "Helmholtz with absorbing layers, k = 20",
        "helmholtz",
        "relative_l2",
        "- (6 min, ∂∞-Grid)",
        Goal(5e-4, 5),
        rivals=(layers(256), layers(512)),
        quick={"cells": 16},
    ),
    box_row(
        (4, 1),
        "4.1e-5 (PIG)",
        Goal(1e-7, 2),
        {"sine": 64, "chebyshev": 40, "differences": 512, "multigrid": 512},
        (elements((4, 1), 128, 2), elements((4, 1), 96, 4), fast_lsq("helmholtz-box", 8.0)),
    ),
    box_row(
        (10, 10),
        "1.6e-5 (Hermite-NGP)",
        Goal(1e-6, 4),
        {"sine": 64, "chebyshev": 80, "differences": 512},
        (elements((10, 10), 96, 4),),
    ),
    box_row(
        (20, 20),
        "7.1e-5 (Hermite-NGP)",
        Goal(1e-6, 10),
        {"sine": 128, "chebyshev": 128, "differences": 512, "multigrid": 1024},
    ),
    box_row((100, 100), "3.8e-2 (Hermite-NGP)", Goal(1e-5, 30), {"sine": 512, "chebyshev": 400}),
    box_row(
        (4, 4, 3),
        "6.0e-2 (ReCAP); 6.1e-5 at a = 3 (Hermite-NGP)",
        Goal(1e-4, 60),
        {"sine": 32, "chebyshev": 32, "differences": 24, "multigrid": 96},
        (elements((4, 4, 3), 16, 2),),
    ),
]
TIME = [
    Row(
        "wave",
        "wave, u_tt = 4 u_xx",
        "wave",
        "relative_l2",
        "9.8e-2 (PINNacle); 1.3e-6 (FastLSQ)",
        Goal(1e-8, 2),
        rivals=(
            plain("sine series", "fourier.sine_series", {}, problem="wave", count=64),
            plain("leapfrog, 2000", "finite_differences.wave", {"count": 64}, count=2000),
            fast_lsq("wave", 15.0),
        ),
        quick={"cells": 16},
    ),
    Row(
        "heat",
        "heat, u_t = u_xx",
        "heat",
        "relative_l2",
        "-",
        Goal(1e-6, 5),
        rivals=(
            plain("sine series", "fourier.sine_series", {}, problem="heat", count=64),
            plain("Chebyshev in space and time", "chebyshev.heat", {}, degree=24),
            plain(
                "Crank-Nicolson, 1000 x 2000",
                "finite_differences.heat",
                {"count": 50, "steps": 50},
                count=1000,
                steps=2000,
            ),
            plain(
                "P2 elements (scikit-fem), Crank-Nicolson, 100 x 4000",
                "finite_elements.heat",
                {"count": 10, "steps": 40},
                count=100,
                steps=4000,
            ),
        ),
        quick={"cells": 12},
    ),
    Row(
        "advection",
        "advection of a bump, 1-D",
        "advection",
        "relative_l2",
        "mean error 2.3e-3 (∂∞-Grid)",
        Goal(1e-6, 5),
        rivals=(plain("Fourier", "fourier.transport", {}, problem="advection", count=256),),
        quick={"cells": 32},
    ),
    Row(
        "convection",
        "convection, c = 30",
        "convection",
        "relative_l2",
        "8.5e-4 (PirateNet), 8.5e-5 (Hermite-NGP)",
        Goal(1e-6, 5),
        rivals=(
            plain("Fourier", "fourier.transport", {}, problem="convection", count=64),
            plain(
                "differences of order 4, Runge-Kutta 4, 256",
                "finite_differences.convection",
                {"count": 32},
                count=256,
            ),
        ),
        quick={"cells": 24},
    ),
    Row(
        "burgers",
        "Burgers, ν = 0.01/π",
        "burgers",
        "relative_l2",
        "1.3e-2 (PINNacle)",
        Goal(1e-5, 30),
        rivals=(
            plain(
                "Fourier, Runge-Kutta 4, 2048 x 2000",
                "suite_exact.burgers_by_fourier",
                {"count": 256, "steps": 200},
                count=2048,
                steps=2000,
            ),
            plain(
                "central, Crank-Nicolson, 8192 x 2000",
                "suite_exact.burgers_by_differences",
                {"count": 256, "steps": 50},
                count=8192,
                steps=2000,
            ),
        ),
        quick={"cells": 24},
    ),
    Row(
        "allen-cahn",
        "Allen-Cahn",
        "allen-cahn",
        "relative_l2",
        "2.2e-5 (PirateNet)",
        Goal(1e-5, 20),
        rivals=(
            plain(
                "Fourier, Runge-Kutta 4, 1024 x 500",
                "suite_exact.allen_cahn_by_fourier",
                {"count": 128, "steps": 50},
                count=1024,
                steps=500,
            ),
        ),
        quick={"cells": 24},
    ),
    Row(
        "klein-gordon",
        "Klein-Gordon 2+1-D, t ≤ 10",
        "klein-gordon",
        "relative_l2",
        "2.8e-3 (PIG)",
        Goal(1e-6, 60),
        rivals=(
            plain(
                "differences, Runge-Kutta 4, 16² x 1000",
                "finite_differences_plane.klein_gordon",
                {"count": 8, "steps": 100},
                count=16,
                steps=1000,
            ),
        ),
        quick={"cells": 4},
    ),
    Row(
        "flow-mixing",
        "flow mixing 2+1-D, t ≤ 4",
        "flow-mixing",
        "relative_l2",
        "1.5e-4 (Hermite-NGP)",
        Goal(1e-4, 120),
        rivals=(
            plain(
                "differences of order 4, Runge-Kutta 4, 256²",
                "finite_differences_plane.flow_mixing",
                {"count": 32},
                count=256,
            ),
            plain(
                "characteristics, 128² points x 200",
                "finite_differences_plane.characteristics",
                {"count": 16, "steps": 20},
                count=128,
                steps=200,
            ),
        ),
        quick={"cells": 6},
    ),
]
PLATES = [
    plate_row(
        "clamped",
        "none covers fourth order",
        (
            plain("Morley (scikit-fem), 128", "finite_elements.plate", {"count": 8}, count=128),
            plain(
                "Argyris (scikit-fem), 32",
                "finite_elements.plate",
                {"count": 4},
                count=32,
                element="Argyris",
            ),
        ),
    ),
    plate_row(
        "simple",
        "none covers fourth order",
        (plain("sine series (Navier), 256²", "fourier.plate", {}, count=256),),
    ),
]
RACES = [
    Row(
        "cloth",
        "hung cloth, energy",
        "cloth",
        "energy",
        "Adam only (∂∞-Grid)",
        None,
        quick={"cells": 8},
        adam={"config": "paper"},
    ),
    Row(
        "eikonal",
        "signed distance of a torus, mean error",
        "eikonal",
        "mean_error",
        "Adam only (∂∞-Grid)",
        None,
        {"shape": "torus", "start": "sphere"},
        quick={"cells": 8},
        adam={"config": "paper", "max_seconds": 100.0},
    ),
]
ROWS = [*IMAGES, *HELMHOLTZ, *TIME, *PLATES, *RACES]
