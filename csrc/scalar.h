#pragma once

#include <cmath>

#include "macros.h"

// What the shared mathematics asks of its number type, for float and double. The CPU's packs of
// numbers provide the same (cpu/pack.h).

namespace dinfgrid {
inline namespace DINFGRID_ISA {

DINFGRID_HD float exponential(float x) { return expf(x); }
DINFGRID_HD double exponential(double x) { return exp(x); }

/// a b + c, rounded once.
DINFGRID_HD float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
DINFGRID_HD double multiply_add(double a, double b, double c) { return fma(a, b, c); }

DINFGRID_HD float select(bool condition, float yes, float no) { return condition ? yes : no; }
DINFGRID_HD double select(bool condition, double yes, double no) { return condition ? yes : no; }

/// Whether a > b for any number of a pack; a single number is a pack of one.
DINFGRID_HD bool any_greater(float a, float b) { return a > b; }
DINFGRID_HD bool any_greater(double a, double b) { return a > b; }

/// Largest x with a normal, non-zero exp(-x).
DINFGRID_HD float exponent_range(float) { return 87.0f; }
DINFGRID_HD double exponent_range(double) { return 708.0; }

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
