#pragma once

#include "pack.h"

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// A few feature channels, each a pack of lanes: the feature type of the CPU kernels.
template <typename P, int Count>
struct Channels {
  P c[Count];

  Channels() = default;
  template <typename Number>
  DINFGRID_HD explicit Channels(Number number) {
    for (int i = 0; i < Count; ++i) c[i] = P(number);
  }
};

template <typename P, int Count>
DINFGRID_HD Channels<P, Count> operator+(const Channels<P, Count>& a, const Channels<P, Count>& b) {
  Channels<P, Count> sum;
  for (int i = 0; i < Count; ++i) sum.c[i] = a.c[i] + b.c[i];
  return sum;
}

template <typename P, int Count>
DINFGRID_HD Channels<P, Count> operator*(P weight, const Channels<P, Count>& a) {
  Channels<P, Count> product;
  for (int i = 0; i < Count; ++i) product.c[i] = weight * a.c[i];
  return product;
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
