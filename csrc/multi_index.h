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

/// Position of the multi-index with the given first component, followed by the (dim-1)-variate one
/// at `rest`.
DINFGRID_HD constexpr int jet_position(int dim, int first, int rest) {
  const int order = first + (dim > 1 ? jet_order(dim - 1, rest) : 0);
  return jet_size(dim, order - 1) + rest;
}

/// Component `axis` of the multi-index at `position`.
DINFGRID_HD constexpr int jet_component(int dim, int position, int axis) {
  return axis == 0 ? jet_first(dim, position)
                   : jet_component(dim - 1, jet_rest(dim, position), axis - 1);
}

/// Position of the multi-index at `position` with component `axis` less `by`, which it exceeds.
DINFGRID_HD constexpr int jet_lowered(int dim, int position, int axis, int by) {
  const int first = jet_first(dim, position), rest = jet_rest(dim, position);
  return axis == 0 ? jet_position(dim, first - by, rest)
                   : jet_position(dim, first, jet_lowered(dim - 1, rest, axis - 1, by));
}

/// A number known at compile time, as an argument.
template <int Position>
struct At {
  static constexpr int value = Position;
};

/// Calls f(At<0>{}), ..., f(At<Count - 1>{}).
template <int Count, int Position = 0, typename F>
DINFGRID_HD void for_each_position(F&& f) {
  if constexpr (Position < Count) {
    f(At<Position>{});
    for_each_position<Count, Position + 1>(f);
  }
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
