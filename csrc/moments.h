#pragma once

#include "multi_index.h"
#include "scalar.h"

// Derivatives of normalised Gaussian interpolation from moments. A Gaussian weight has a derivative
// that is a polynomial in its node's position times the weight itself,
//
//     D^m omega_k = slope^m P_m(kappa_k) omega_k,      P_m monic of degree m,
//
// so that a kernel needs one weight a node instead of Order + 1 of them: it sums the moments
// sum_k B_m(kappa_k) phi_k F_k, with B_m(kappa_k) known at compile time, and turns moments into
// derivatives once a point. In half spacings kappa = +-1, +-3, ..., symmetric about the middle of
// the 2 rho nodes: nodes come in pairs, which share even moments as a sum and odd ones as a
// difference. The B_m are the central factorials
//
//     1,  kappa,  kappa^2 - 1,  kappa (kappa^2 - 1),  (kappa^2 - 1)(kappa^2 - 9),  ...
//
// over their value at the first pair where they do not vanish, the pair m / 2: the inner pairs are
// spared, and a first pair needs no multiplication.

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// The central factorial of degree m at kappa.
DINFGRID_HD constexpr int central_factorial(int m, int kappa) {
  int value = m % 2 == 0 ? 1 : kappa;
  for (int root = 1; root < m; root += 2) value *= kappa * kappa - root * root;
  return value;
}

/// What B_m is divided by.
DINFGRID_HD constexpr int moment_scale(int m) { return central_factorial(m, m / 2 * 2 + 1); }

/// B_m(kappa) of the pair at +-kappa, an integer.
DINFGRID_HD constexpr int moment_basis(int m, int kappa) {
  return central_factorial(m, kappa) / moment_scale(m);
}

/// Adds the pair of nodes at -Kappa and +Kappa to the moments 0..Order; pairs come in the order 1,
/// 3, ..., and start the moments.
///   lower, upper   weights of the two
///   f, g           their features
///   moment(At<m>)  where moment m is, a V&
template <int Order, int Kappa, typename T, typename V, typename Moment>
DINFGRID_HD void add_pair(T lower, T upper, const V& f, const V& g, Moment&& moment) {
  if constexpr (Kappa > 1 &&
                Order < 2) {  // two products a moment are fewer than sum and difference
    moment(At<0>{}) = multiply_add(upper, g, multiply_add(lower, f, moment(At<0>{})));
    if constexpr (Order == 1)
      moment(At<1>{}) =
          multiply_add(T(Kappa) * upper, g, multiply_add(T(-Kappa) * lower, f, moment(At<1>{})));
  } else {
    const V below = lower * f;
    const V even = multiply_add(upper, g, below);
    const V odd = multiply_add(T(-2), below, even);  // upper g - below; no negation of its own
    for_each_position<Order + 1>([&](auto at) {
      constexpr int m = decltype(at)::value, value = moment_basis(m, Kappa);
      static_assert(value * moment_scale(m) == central_factorial(m, Kappa), "no integer");
      const V& part = m % 2 == 0 ? even : odd;
      if constexpr (Kappa == m / 2 * 2 + 1)
        moment(at) = part;
      else if constexpr (value == 1)
        moment(at) = moment(at) + part;
      else if constexpr (value != 0)
        moment(at) = multiply_add(T(value), part, moment(at));
    });
  }
}

/// Sets to zero the moments that no pair of `NodeCount` nodes starts.
template <int Order, int NodeCount, typename V, typename Moment>
DINFGRID_HD void clear_moments(Moment&& moment) {
  for_each_position<Order + 1>([&](auto at) {
    if constexpr (decltype(at)::value >= NodeCount) moment(at) = V(0);
  });
}

/// The polynomials P_0..P_Order of one axis in the basis B, each divided by its leading coefficient
/// moment_scale(m), from
///     P_{m+1} = kappa P_m - sum_{j=0}^{m} C(m, j) c_j P_{m-j},      c_j = <kappa P_j>,
/// Leibniz' rule for omega = phi / sum phi with phi' = slope kappa phi; <.> is the mean under
/// omega. Central factorials b_m obey kappa b_m = b_{m+1} + (m^2 if m is odd) b_{m-1}.
template <int Order, typename T>
struct MomentPolynomials {
  T p[Order + 1][Order + 1];  // p[m][i] is the coefficient of B_i, i <= m; p[m][m] = 1

  ///   mean   [Order + 1] <B_i>
  DINFGRID_HD explicit MomentPolynomials(const T* mean) {
    // The compiler does not see through products with 1 and sums with 0, so that degree 1 and
    // leading coefficients stand by themselves.
    T c[Order + 1];  // c_m / moment_scale(m)
    p[0][0] = T(1);
    if constexpr (Order > 0) {
      c[0] = mean[1];
      p[1][0] = -mean[1];
      p[1][1] = T(1);
    }
    for_each_position<(Order > 0 ? Order - 1 : 0)>([&](auto at) {
      constexpr int m = decltype(at)::value + 1;
      T raised[m + 2];  // kappa P_m
      raise<m>(p[m], raised);
      c[m] = raised[0] + raised[m + 1] * mean[m + 1];
      for_each_position<m>([&](auto to) {
        constexpr int i = decltype(to)::value + 1;
        c[m] = multiply_add(raised[i], mean[i], c[m]);
      });
      constexpr T shrink = T(double(moment_scale(m)) / moment_scale(m + 1));
      p[m + 1][m + 1] = T(1);
      for_each_position<m + 1>([&](auto to) {
        constexpr int i = decltype(to)::value;
        p[m + 1][i] = shrink * raised[i];
        for_each_position<m - i + 1>([&](auto by) {
          constexpr int j = decltype(by)::value;
          constexpr T factor = T(-double(binomial(m, j)) * moment_scale(j) * moment_scale(m - j) /
                                 moment_scale(m + 1));
          if constexpr (m - j == i)
            p[m + 1][i] = p[m + 1][i] + factor * c[j];
          else
            p[m + 1][i] = multiply_add(factor * c[j], p[m - j][i], p[m + 1][i]);
        });
      });
    });
  }

 private:
  /// kappa times a polynomial of degree m, [m + 1] coefficients to [m + 2].
  template <int m>
  static DINFGRID_HD void raise(const T* coefficient, T* raised) {
    for_each_position<m + 2>([&](auto to) {
      constexpr int i = decltype(to)::value;
      constexpr bool up = i > 0, down = i + 1 <= m && i % 2 == 0;
      constexpr T rise = T(double(moment_scale(i)) / moment_scale(up ? i - 1 : 0));
      constexpr T fall = T(double((i + 1) * (i + 1)) * moment_scale(i) / moment_scale(i + 1));
      if constexpr (up && down)
        raised[i] = rise * coefficient[i - 1] + fall * coefficient[i + 1];
      else if constexpr (up)
        raised[i] = rise * coefficient[i - 1];
      else if constexpr (down)
        raised[i] = fall * coefficient[i + 1];
      else
        raised[i] = T(0);
    });
  }

  static DINFGRID_HD constexpr int binomial(int n, int k) {
    return k == 0 ? 1 : binomial(n, k - 1) * (n - k + 1) / k;
  }
};

/// Turns moments [jet_size(Dim, Order)] along `Axis` into sums of P_m phi F / moment_scale(m).
template <int Dim, int Order, int Axis, typename T, typename V>
DINFGRID_HD void apply_polynomials(const MomentPolynomials<Order, T>& polynomials, V* moments) {
  constexpr int size = jet_size(Dim, Order);
  for_each_position<size>(
      [&](auto at) {  // from the highest order down: lower ones are still moments
        constexpr int position = size - 1 - decltype(at)::value;
        constexpr int power = jet_component(Dim, position, Axis);
        for_each_position<power>([&](auto by) {
          constexpr int i = decltype(by)::value;
          constexpr int lower = jet_lowered(Dim, position, Axis, power - i);
          moments[position] =
              multiply_add(polynomials.p[power][i], moments[lower], moments[position]);
        });
      });
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
