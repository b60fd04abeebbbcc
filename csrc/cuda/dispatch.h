#pragma once

#include "../contract.h"
#include "../kernels.h"
#include "paths.h"

// From run-time numbers to template arguments.

namespace dinfgrid {
namespace cuda {

/// Whether fast paths are compiled. The rest goes the general way, which is several times slower:
/// high orders of long neighbourhoods do not fit into registers, and each entry costs compile time.
/// A file that needs few shapes may define DINFGRID_FAST(dim, order, nodes) to say which.
template <typename Scalar>
constexpr bool has_fast_path([[maybe_unused]] int dim, int order, int nodes) {
#ifdef DINFGRID_FAST
  return DINFGRID_FAST(dim, order, nodes);
#else
  if (dim > 3) return false;
  if (sizeof(Scalar) == sizeof(double)) return order <= 2;
  return order <= 3 || (dim <= 2 && nodes >= 6);
#endif
}

/// Calls f(At<order>) and returns its result; the caller has checked the order.
template <int Dim, int Order = 0, typename F>
int for_order(int order, F&& f) {
  if constexpr (Order < max_order(Dim)) {
    if (order != Order) return for_order<Dim, Order + 1>(order, f);
  }
  return f(At<Order>{});
}

/// Calls f(path) for a path of the family that suits; f takes it or declines by returning false.
///   Path   from the number of nodes per axis to a path
template <template <int> class Path, int Dim, int Order, typename Scalar, int NodeCount = 2,
          typename F>
bool for_fast_path(const Grid<Scalar>& grid, F&& f) {
  if constexpr (NodeCount > 8) {
    return false;
  } else {
    if constexpr (has_fast_path<Scalar>(Dim, Order, NodeCount) &&
                  Path<NodeCount>::template exists<Dim, Order>()) {
      if (Path<NodeCount>::suits(grid, Order)) return f(Path<NodeCount>{});
    }
    return for_fast_path<Path, Dim, Order, Scalar, NodeCount + 2>(grid, f);
  }
}

}  // namespace cuda
}  // namespace dinfgrid
