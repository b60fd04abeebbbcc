#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "../scalar.h"

// A pack of numbers, one per point ("lane"), in one vector register. The CPU kernels evaluate the
// shared mathematics for a pack of points at a time, whatever the dimension, reach or channels.

namespace dinfgrid {
inline namespace DINFGRID_ISA {

// The vector registers' width. (Not from __AVX2__: g++ defines that only for flags, not for
// pragmas.)
#ifndef DINFGRID_PACK_BYTES
#define DINFGRID_PACK_BYTES 16
#endif
constexpr int kPackBytes = DINFGRID_PACK_BYTES;

template <typename Scalar>
struct PackTypes;
template <>
struct PackTypes<float> {
  typedef float Vector __attribute__((vector_size(kPackBytes)));
  typedef int32_t Integers __attribute__((vector_size(kPackBytes)));
  static constexpr int mantissa = 23, bias = 127;
};
template <>
struct PackTypes<double> {
  typedef double Vector __attribute__((vector_size(kPackBytes)));
  typedef int64_t Integers __attribute__((vector_size(kPackBytes)));
  static constexpr int mantissa = 52, bias = 1023;
};

template <typename Scalar>
struct Pack {
  using Vector = typename PackTypes<Scalar>::Vector;
  using Integers = typename PackTypes<Scalar>::Integers;
  static constexpr int lanes = kPackBytes / sizeof(Scalar);

  Vector v;

  Pack() = default;
  DINFGRID_HD Pack(Vector vector) : v(vector) {}
  template <typename Number>
  DINFGRID_HD explicit Pack(Number number) : v(Vector{} + static_cast<Scalar>(number)) {}

  /// Reads and writes `lanes` consecutive numbers at any address.
  static DINFGRID_HD Pack load(const Scalar* from) {
    Pack pack;
    std::memcpy(&pack.v, from, sizeof(Vector));
    return pack;
  }
  DINFGRID_HD void store(Scalar* to) const { std::memcpy(to, &v, sizeof(Vector)); }

  DINFGRID_HD Pack& operator+=(Pack b) {
    v += b.v;
    return *this;
  }
};

template <typename Scalar>
DINFGRID_HD Pack<Scalar> operator+(Pack<Scalar> a, Pack<Scalar> b) {
  return a.v + b.v;
}
template <typename Scalar>
DINFGRID_HD Pack<Scalar> operator-(Pack<Scalar> a, Pack<Scalar> b) {
  return a.v - b.v;
}
template <typename Scalar>
DINFGRID_HD Pack<Scalar> operator*(Pack<Scalar> a, Pack<Scalar> b) {
  return a.v * b.v;
}
template <typename Scalar>
DINFGRID_HD Pack<Scalar> operator/(Pack<Scalar> a, Pack<Scalar> b) {
  return a.v / b.v;
}
template <typename Scalar>
DINFGRID_HD typename Pack<Scalar>::Integers operator<(Pack<Scalar> a, Pack<Scalar> b) {
  return a.v < b.v;
}
template <typename Scalar>
DINFGRID_HD typename Pack<Scalar>::Integers operator>(Pack<Scalar> a, Pack<Scalar> b) {
  return a.v > b.v;
}

template <typename Scalar>
DINFGRID_HD typename Pack<Scalar>::Integers operator>=(Pack<Scalar> a, Pack<Scalar> b) {
  return a.v >= b.v;
}

template <typename Scalar>
DINFGRID_HD Pack<Scalar> select(typename Pack<Scalar>::Integers condition, Pack<Scalar> yes,
                                Pack<Scalar> no) {
  return condition ? yes.v : no.v;
}

/// Whether a > b in any lane.
template <typename Scalar>
DINFGRID_HD bool any_greater(Pack<Scalar> a, Pack<Scalar> b) {
  const auto greater = a > b;  // all bits of a lane set, or none
  int64_t parts[kPackBytes / sizeof(int64_t)], bits = 0;
  std::memcpy(parts, &greater, sizeof(parts));
  for (int64_t part : parts) bits |= part;
  return bits != 0;
}

/// Whether a comparison, with all bits of a lane set or none, holds in all lanes.
template <typename Integers>
DINFGRID_HD bool all(const Integers& condition) {
  int64_t parts[kPackBytes / sizeof(int64_t)], bits = -1;
  std::memcpy(parts, &condition, sizeof(parts));
  for (int64_t part : parts) bits &= part;
  return bits == -1;
}

template <typename Scalar>
DINFGRID_HD Pack<Scalar> exponent_range(Pack<Scalar>) {
  return Pack<Scalar>(exponent_range(Scalar(0)));
}

/// exp(x) = 2^n exp(r) with n = round(x log2 e), |r| <= ln 2 / 2. The Taylor polynomial of exp(r)
/// is of degree 7 (float, remainder 5e-9) or 13 (double, 4e-18). Adding 1.5 * 2^mantissa rounds to
/// an integer and leaves n in the lowest bits. Below the normal range the result is 0, above it
/// infinity; NaN stays NaN.
template <typename Scalar>
DINFGRID_HD Pack<Scalar> exponential(Pack<Scalar> x) {
  using P = Pack<Scalar>;
  using Integers = typename P::Integers;
  constexpr int mantissa = PackTypes<Scalar>::mantissa;
  constexpr int degree = sizeof(Scalar) == 4 ? 7 : 13;
  // ln 2 in two parts, the first short enough that its product with n is exact.
  constexpr Scalar ln2_high = sizeof(Scalar) == 4 ? 0x1.62e4p-1 : 0x1.62e42fefp-1;
  constexpr Scalar ln2_low = sizeof(Scalar) == 4 ? 0x1.7f7d1cp-20 : 0x1.473de6af278edp-34;
  const P limit = exponent_range(P(0));
  const auto low = x < P(0) - limit;
  const auto high = x > limit;
  const P clipped = select(low, P(0) - limit, select(high, limit, x));
  const P rounder = P(Scalar(3) * static_cast<Scalar>(int64_t(1) << (mantissa - 1)));
  const P shifted = clipped * P(Scalar(1.4426950408889634)) + rounder;
  const P n = shifted - rounder;
  const P r = (clipped - n * P(ln2_high)) - n * P(ln2_low);
  P sum = P(1);
  for (int j = degree; j >= 1; --j) sum = sum * r * P(Scalar(1.0 / j)) + P(1);
  Integers bits;
  std::memcpy(&bits, &shifted.v, sizeof(bits));
  bits = (bits + PackTypes<Scalar>::bias) << mantissa;
  P power;
  std::memcpy(&power.v, &bits, sizeof(bits));
  const P result = sum * power;
  return select(low, P(0), select(high, P(Scalar(1)) / P(0), result));
}

/// Two-source shuffle: lane i of the result is lane Index_i of (a, b).
template <typename P, int... Index>
DINFGRID_HD P shuffle(P a, P b, std::integer_sequence<int, Index...>) {
#if defined(__clang__)
  return P(__builtin_shufflevector(a.v, b.v, Index...));
#else
  return P(__builtin_shuffle(a.v, b.v, typename P::Integers{Index...}));
#endif
}

template <int Lanes, int Step, bool Upper, int... Lane>
constexpr auto exchange_indices(std::integer_sequence<int, Lane...>) {
  // Lower: [a without bit Step, b without it moved up]; upper: the other halves.
  return std::integer_sequence<int, (Upper ? ((Lane & Step) ? Lanes + Lane : Lane + Step)
                                           : ((Lane & Step) ? Lanes + Lane - Step : Lane))...>{};
}

/// Transposes a square of packs in place: afterwards lane i of pack j is what was lane j of pack i.
template <typename Scalar, int Step = 1>
DINFGRID_HD void transpose(Pack<Scalar> (&square)[Pack<Scalar>::lanes]) {
  constexpr int lanes = Pack<Scalar>::lanes;
  if constexpr (Step < lanes) {
    constexpr auto all = std::make_integer_sequence<int, lanes>{};
    for (int i = 0; i < lanes; ++i) {
      if (i & Step) continue;
      const Pack<Scalar> a = square[i], b = square[i + Step];
      square[i] = shuffle(a, b, exchange_indices<lanes, Step, false>(all));
      square[i + Step] = shuffle(a, b, exchange_indices<lanes, Step, true>(all));
    }
    transpose<Scalar, Step * 2>(square);
  }
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
