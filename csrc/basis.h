#pragma once

#include "grid.h"
#include "scalar.h"
#include "taylor.h"

// The one-dimensional basis tables: rows[m][k] = d^m w_k / dt^m, m = 0..Order, for the nodes
// k = 0..2 rho - 1 of one cell; t in [0, 1] is the position in the cell, and node k stands at
// k - (rho - 1). Everything the package computes is a product of such rows, one per axis.

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// Number of nodes known at compile time (in a table of `Capacity`) ...
template <int N, int Capacity = N>
struct FixedNodes {
  static constexpr int capacity = Capacity;
  DINFGRID_HD constexpr operator int() const { return N; }
};

/// ... and at run time.
struct AnyNodes {
  static constexpr int capacity = kMaxNodes;
  int count;
  DINFGRID_HD constexpr operator int() const { return count; }
};

template <typename T, int Order, typename Nodes>
using Rows = T[Order + 1][Nodes::capacity];

/// Lowest and highest node that exists, relative to the cell. Only `clamp` grids have an end: there
/// node k is moved to the nearest one that exists and keeps its distance to that.
template <typename T>
struct Extent {
  T lowest, highest;
};

/// Turns Taylor coefficients into derivatives, row m times m!.
template <int Order, typename Nodes, typename T>
DINFGRID_HD void times_factorials(Nodes nodes, Rows<T, Order, Nodes>& rows) {
  int factorial = 1;
  DINFGRID_UNROLL
  for (int m = 2; m <= Order; ++m) {
    factorial *= m;
    DINFGRID_UNROLL
    for (int k = 0; k < nodes; ++k) rows[m][k] = rows[m][k] * T(factorial);
  }
}

/// omega = phi / S with S = sum_k phi_k, as a quotient of Taylor series (design: Leibniz' rule):
/// omega_m = (phi_m - sum_{j>=1} S_j omega_{m-j}) / S_0.
template <int Order, typename Nodes, typename T>
DINFGRID_HD void normalize(Nodes nodes, Rows<T, Order, Nodes>& rows) {
  T sum[Order + 1];
  DINFGRID_UNROLL
  for (int m = 0; m <= Order; ++m) {
    sum[m] = rows[m][0];
    DINFGRID_UNROLL
    for (int k = 1; k < nodes; ++k) sum[m] = sum[m] + rows[m][k];
  }
  const T inverse = T(1) / sum[0];
  DINFGRID_UNROLL
  for (int m = 1; m <= Order; ++m) sum[m] = sum[m] * inverse;
  DINFGRID_UNROLL
  for (int k = 0; k < nodes; ++k) {
    DINFGRID_UNROLL
    for (int m = 0; m <= Order; ++m) {
      T value = rows[m][k] * inverse;
      DINFGRID_UNROLL
      for (int j = 1; j <= m; ++j) value = value - sum[j] * rows[m - j][k];
      rows[m][k] = value;
    }
  }
}

/// Unnormalised weights and g = a scale kappa of the normalised Gaussian for points inside the
/// cell.
///
/// From the two nodes of the cell outwards
///     psi_{k+1} / psi_k = e^{+a s} e^{-a (k - rho + 1)},
/// so that an axis costs one exponential, and for |s| <= 1/2 no factor exceeds e^{a/2}.
template <bool Clamped, typename Scalar, typename Nodes, typename T>
DINFGRID_HD void inner_gaussian(const Basis<Scalar>& basis, Nodes nodes, T s, T slope,
                                Extent<T> extent, T* weights, T* g) {
  const int rho = nodes / 2;
  const T decay = T(basis.decay);
  const T up = exponential(T(2 * basis.epsilon * basis.epsilon) * s);
  weights[rho - 1] = T(1);
  weights[rho] = up;
  g[rho - 1] = T(Scalar(-0.5)) * slope;
  g[rho] = T(Scalar(0.5)) * slope;
  T step_up = up, step_down = T(1) / up;
  DINFGRID_UNROLL
  for (int j = 1; j < rho; ++j) {
    step_up = step_up * decay;
    step_down = step_down * decay;
    const int right = rho + j, left = rho - 1 - j;
    weights[right] = weights[right - 1] * step_up;
    weights[left] = weights[left + 1] * step_down;
    g[right] = T(Scalar(j + 0.5)) * slope;
    g[left] = T(Scalar(-j - 0.5)) * slope;
    if (Clamped) {
      const auto beyond = T(j + 1) > extent.highest;
      const auto before = T(-j) < extent.lowest;
      weights[right] = select(beyond, weights[right - 1], weights[right]);
      weights[left] = select(before, weights[left + 1], weights[left]);
      g[right] = select(beyond, g[right - 1], g[right]);
      g[left] = select(before, g[left + 1], g[left]);
    }
  }
}

/// The same for points outside the box, where the recurrence could overflow: one exponential a
/// node, of its squared distance beyond that of the nearest node.
template <typename Scalar, typename Nodes, typename T>
DINFGRID_HD void outer_gaussian(const Basis<Scalar>& basis, Nodes nodes, T s, T slope,
                                Extent<T> extent, T* weights, T* g) {
  const int rho = nodes / 2;
  DINFGRID_UNROLL
  for (int k = 0; k < nodes; ++k) {
    T offset = T(k - (rho - 1));
    offset = select(offset < extent.lowest, extent.lowest, offset);
    offset = select(offset > extent.highest, extent.highest, offset);
    const T kappa = offset - T(Scalar(0.5));
    g[k] = kappa * slope;
    weights[k] = T(-basis.epsilon * basis.epsilon) * kappa * (kappa - T(2) * s);
  }
  T largest = weights[0];
  DINFGRID_UNROLL
  for (int k = 1; k < nodes; ++k) largest = select(weights[k] > largest, weights[k], largest);
  DINFGRID_UNROLL
  for (int k = 0; k < nodes; ++k) weights[k] = exponential(weights[k] - largest);
}

/// Derivatives of omega = rows[0], sum_k omega_k = 1, whose weights have constant logarithmic
/// derivatives g before normalisation: omega' = (g_k - mean) omega with mean = sum_k g_k omega_k,
/// and by Leibniz' rule
///     omega_k^(m+1) = (g_k - mean) omega_k^(m) - sum_{j=1}^{m} C(m, j) mean^(j) omega_k^(m-j),
///     mean^(j) = sum_k g_k omega_k^(j).
///   g   [nodes] overwritten
template <int Order, typename Nodes, typename T>
DINFGRID_HD void differentiate_quotient(Nodes nodes, T* g, Rows<T, Order, Nodes>& rows) {
  T mean[Order + 1];
  DINFGRID_UNROLL
  for (int m = 0; m < Order; ++m) {
    mean[m] = g[0] * rows[m][0];
    DINFGRID_UNROLL
    for (int k = 1; k < nodes; ++k) mean[m] = mean[m] + g[k] * rows[m][k];
    if (m == 0) {  // centred once and for all, since derivatives of omega sum to 0
      DINFGRID_UNROLL
      for (int k = 0; k < nodes; ++k) g[k] = g[k] - mean[0];
    }
    T factor[Order + 1];
    int binomial = 1;
    DINFGRID_UNROLL
    for (int j = 1; j <= m; ++j) {
      binomial = binomial * (m - j + 1) / j;
      factor[j] = T(-binomial) * mean[j];
    }
    DINFGRID_UNROLL
    for (int k = 0; k < nodes; ++k) {
      T next = g[k] * rows[m][k];
      DINFGRID_UNROLL
      for (int j = 1; j <= m; ++j) next = next + factor[j] * rows[m - j][k];
      rows[m + 1][k] = next;
    }
  }
}

/// The paper's basis, normalised Gaussians on the 2 rho nodes around the cell, with derivatives per
/// unit of x where t = scale x + ...
///
/// With a = 2 epsilon^2, s = t - 1/2 and kappa_k = k - (rho - 1) - 1/2 the common factor
/// exp(-epsilon^2 s^2) cancels and leaves psi_k = exp(a s kappa_k - epsilon^2 kappa_k^2), which has
/// the logarithmic derivative a scale kappa_k.
template <int Order, bool Clamped, typename Scalar, typename Nodes, typename T>
DINFGRID_HD void normalized_gaussian(const Basis<Scalar>& basis, Nodes nodes, Scalar scale, T t,
                                     Extent<T> extent, Rows<T, Order, Nodes>& rows) {
  const T s = t - T(Scalar(0.5));
  const T slope = T(2 * basis.epsilon * basis.epsilon * scale);
  T g[Nodes::capacity];
  if (any_greater(s * s, T(Scalar(0.2501))))
    outer_gaussian(basis, nodes, s, slope, extent, rows[0], g);
  else
    inner_gaussian<Clamped>(basis, nodes, s, slope, extent, rows[0], g);
  T sum = rows[0][0];
  DINFGRID_UNROLL
  for (int k = 1; k < nodes; ++k) sum = sum + rows[0][k];
  const T inverse = T(1) / sum;
  DINFGRID_UNROLL
  for (int k = 0; k < nodes; ++k) rows[0][k] = rows[0][k] * inverse;
  differentiate_quotient<Order>(nodes, g, rows);
}

/// Any Gaussian, straight from its definition in Taylor arithmetic: exp(-(epsilon d)^2) with d = t
/// - k, and with the smooth window times exp(-z^4/(1 - z^2)), z = d/rho, which is 1 + O(z^4) in the
/// middle and vanishes with all derivatives at the reach.
template <int Order, typename Scalar, typename Nodes, typename T>
DINFGRID_HD void any_gaussian(const Basis<Scalar>& basis, Nodes nodes, T t, Extent<T> extent,
                              Rows<T, Order, Nodes>& rows) {
  using Series = Taylor<T, Order>;
  for (int k = 0; k < nodes; ++k) {
    T offset = T(k - (basis.rho - 1));
    offset = select(offset < extent.lowest, extent.lowest, offset);
    offset = select(offset > extent.highest, extent.highest, offset);
    const Series d = Series::variable(t - offset);
    const Series square = d * d;
    Series exponent = T(-basis.epsilon * basis.epsilon) * square;
    if (basis.kind == BasisKind::smooth_gaussian) {
      const Series z2 = T(Scalar(1) / (basis.rho * basis.rho)) * square;
      Series gap = Series::constant(T(1)) + T(-1) * z2;
      // Where the window's exponent leaves the range of exp, the window and its derivatives are 0.
      const auto outside = gap.c[0] * exponent_range(T(0)) < T(1);
      gap.c[0] = select(outside, T(1), gap.c[0]);
      exponent = exponent + T(-1) * (z2 * z2 / gap);
      const Series value = exponential(exponent);
      DINFGRID_UNROLL
      for (int m = 0; m <= Order; ++m) rows[m][k] = select(outside, T(0), value.c[m]);
    } else {
      const Series value = exponential(exponent);
      DINFGRID_UNROLL
      for (int m = 0; m <= Order; ++m) rows[m][k] = value.c[m];
    }
  }
  if (basis.normalize) normalize<Order>(nodes, rows);
  times_factorials<Order>(nodes, rows);
}

/// Uniform B-splines of degree p = 2 rho - 1, node-centred. Cox-de Boor on one cell,
///     N_{i,q} = ((t - i + q) N_{i-1,q-1} + (i + 1 - t) N_{i,q-1}) / q,      i = 0..q,
/// and D^m N_{.,p} is the m-fold difference N_{i-1} - N_i of the splines of degree p - m.
template <int Order, typename Scalar, typename Nodes, typename T>
DINFGRID_HD void bspline(Nodes nodes, T t, Rows<T, Order, Nodes>& rows) {
  const int degree = nodes - 1;
  const T zero = t - t;  // or NaN, so that rows which do not depend on t pass it on
  T value[Nodes::capacity];
  DINFGRID_UNROLL
  for (int k = 0; k < nodes; ++k) value[k] = zero;
  value[0] = zero + T(1);
  DINFGRID_UNROLL
  for (int m = 0; m <= Order; ++m) {
    DINFGRID_UNROLL
    for (int k = 0; k < nodes; ++k) rows[m][k] = zero + T(m == degree && k == 0 ? 1 : 0);
  }
  DINFGRID_UNROLL
  for (int q = 1; q <= degree; ++q) {
    const T inverse = T(Scalar(1.0 / q));
    DINFGRID_UNROLL
    for (int i = q; i >= 0; --i) {
      const T left = i > 0 ? value[i > 0 ? i - 1 : 0] : T(0);
      value[i] = ((t + T(q - i)) * left + (T(i + 1) - t) * value[i]) * inverse;
    }
    DINFGRID_UNROLL
    for (int m = 0; m <= Order; ++m) {
      if (m != degree - q) continue;
      DINFGRID_UNROLL
      for (int k = 0; k <= q; ++k) rows[m][k] = value[k];
    }
  }
  DINFGRID_UNROLL
  for (int m = 1; m <= Order; ++m) {
    if (m > degree) continue;
    DINFGRID_UNROLL
    for (int times = 1; times <= m; ++times) {
      DINFGRID_UNROLL
      for (int k = degree; k > 0; --k) rows[m][k] = rows[m][k - 1] - rows[m][k];
      rows[m][0] = T(0) - rows[m][0];
    }
  }
}

/// The table of any basis, chosen at run time. Derivatives are per unit of t.
template <int Order, typename Scalar, typename Nodes, typename T>
DINFGRID_HD void basis_rows(const Basis<Scalar>& basis, bool clamped, Nodes nodes, T t,
                            Extent<T> extent, Rows<T, Order, Nodes>& rows) {
  if (basis.kind == BasisKind::bspline) {
    bspline<Order, Scalar>(nodes, t, rows);
  } else if (basis.kind == BasisKind::smooth_gaussian || !basis.normalize) {
    any_gaussian<Order>(basis, nodes, t, extent, rows);
  } else if (clamped) {
    normalized_gaussian<Order, true>(basis, nodes, Scalar(1), t, extent, rows);
  } else {
    normalized_gaussian<Order, false>(basis, nodes, Scalar(1), t, extent, rows);
  }
}

/// Derivatives per unit of x: row m times scale^m.
template <int Order, typename Scalar, typename Nodes, typename T>
DINFGRID_HD void times_scale(Nodes nodes, Scalar scale, Rows<T, Order, Nodes>& rows) {
  Scalar power = 1;
  DINFGRID_UNROLL
  for (int m = 1; m <= Order; ++m) {
    power *= scale;
    DINFGRID_UNROLL
    for (int k = 0; k < nodes; ++k) rows[m][k] = rows[m][k] * T(power);
  }
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
