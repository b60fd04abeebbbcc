#pragma once

#include "macros.h"

// Multi-indices alpha with |alpha| <= order in graded lexicographic order; in two dimensions:
// 00; 10 01; 20 11 02; ...

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// Number of partial derivatives of total order 0..order in dim variables: (order+dim)!/(order!
/// dim!).
DINFGRID_HD constexpr int jet_size(int dim, int order) {
  if (order < 0) return 0;
  int size = 1;
  for (int i = 1; i <= dim; ++i) size = size * (order + i) / i;
  return size;
}

/// Total order |alpha| of the multi-index at `position`.
DINFGRID_HD constexpr int jet_order(int dim, int position) {
  int order = 0;
  while (jet_size(dim, order) <= position) ++order;
  return order;
}

/// First component of the multi-index at `position`. Within one total order the multi-indices whose
/// first component exceeds a number as (dim-1)-variate ones of total order < |alpha| - a.
DINFGRID_HD constexpr int jet_first(int dim, int position) {
  const int order = jet_order(dim, position);
  const int within = position - jet_size(dim, order - 1);
  int first = order;
  while (jet_size(dim - 1, order - first) <= within) --first;
  return first;
}

/// Position, among (dim-1)-variate multi-indices, of what follows the first component.
DINFGRID_HD constexpr int jet_rest(int dim, int position) {
  const int order = jet_order(dim, position);
  return position - jet_size(dim, order - 1);
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
