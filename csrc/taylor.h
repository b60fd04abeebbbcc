#pragma once

#include "macros.h"

// Truncated Taylor arithmetic: coefficient m of f is f^(m)(t)/m!. A function written with it yields
// all its derivatives up to Order, exactly.
// T is float, double or, on the CPU, a pack of them; it provides exponential(T).

namespace dinfgrid {
inline namespace DINFGRID_ISA {

template <typename T, int Order>
struct Taylor {
  T c[Order + 1];

  /// The constant function.
  static DINFGRID_HD Taylor constant(T value) {
    Taylor f;
    f.c[0] = value;
    for (int m = 1; m <= Order; ++m) f.c[m] = T(0);
    return f;
  }

  /// The identity t -> t at `value`.
  static DINFGRID_HD Taylor variable(T value) {
    Taylor f = constant(value);
    if (Order > 0) f.c[Order > 0 ? 1 : 0] = T(1);
    return f;
  }
};

template <typename T, int Order>
DINFGRID_HD Taylor<T, Order> operator+(const Taylor<T, Order>& f, const Taylor<T, Order>& g) {
  Taylor<T, Order> sum;
  DINFGRID_UNROLL
  for (int m = 0; m <= Order; ++m) sum.c[m] = f.c[m] + g.c[m];
  return sum;
}

template <typename T, int Order>
DINFGRID_HD Taylor<T, Order> operator*(T factor, const Taylor<T, Order>& f) {
  Taylor<T, Order> product;
  DINFGRID_UNROLL
  for (int m = 0; m <= Order; ++m) product.c[m] = factor * f.c[m];
  return product;
}

/// Cauchy product: (f g)_m = sum_j f_j g_{m-j}.
template <typename T, int Order>
DINFGRID_HD Taylor<T, Order> operator*(const Taylor<T, Order>& f, const Taylor<T, Order>& g) {
  Taylor<T, Order> product;
  DINFGRID_UNROLL
  for (int m = 0; m <= Order; ++m) {
    product.c[m] = f.c[0] * g.c[m];
    DINFGRID_UNROLL
    for (int j = 1; j <= m; ++j) product.c[m] = product.c[m] + f.c[j] * g.c[m - j];
  }
  return product;
}

/// q = f/g from q g = f: q_m = (f_m - sum_{j>=1} g_j q_{m-j}) / g_0.
template <typename T, int Order>
DINFGRID_HD Taylor<T, Order> operator/(const Taylor<T, Order>& f, const Taylor<T, Order>& g) {
  const T inverse = T(1) / g.c[0];
  Taylor<T, Order> quotient;
  DINFGRID_UNROLL
  for (int m = 0; m <= Order; ++m) {
    T rest = f.c[m];
    DINFGRID_UNROLL
    for (int j = 1; j <= m; ++j) rest = rest - g.c[j] * quotient.c[m - j];
    quotient.c[m] = rest * inverse;
  }
  return quotient;
}

/// e = exp(f) from e' = f' e: e_m = (1/m) sum_{j>=1} j f_j e_{m-j}.
template <typename T, int Order>
DINFGRID_HD Taylor<T, Order> exponential(const Taylor<T, Order>& f) {
  Taylor<T, Order> e;
  e.c[0] = exponential(f.c[0]);
  DINFGRID_UNROLL
  for (int m = 1; m <= Order; ++m) {
    e.c[m] = f.c[1] * e.c[m - 1];
    DINFGRID_UNROLL
    for (int j = 2; j <= m; ++j) e.c[m] = e.c[m] + T(j) * f.c[j] * e.c[m - j];
    e.c[m] = e.c[m] * (T(1) / T(m));
  }
  return e;
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
