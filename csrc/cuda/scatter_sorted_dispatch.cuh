#pragma once

#include "dispatch.h"
#include "scatter_sorted.cuh"

namespace dinfgrid {
namespace cuda {

/// Launches the kernel that fits a call in `Dim` dimensions best. float64 has the general path
/// only, which halves the compile time of the one operation that is not chosen for its speed.
template <int Dim, int Order, typename Scalar>
int scatter_sorted_order(const Call<Scalar>& call, const Scalar* y, const int64_t* point,
                         const int64_t* first, Scalar* features, void* stream) {
  if (call.points == 0) return 0;
  int result = 0;
  const auto run = [&](auto path) {
    result =
        launch_scatter_sorted<Dim, Order, decltype(path)>(call, y, point, first, features, stream);
    return true;
  };
  if constexpr (sizeof(Scalar) == sizeof(float)) {
    if (for_fast_path<ShortPath, Dim, Order>(call.grid, run)) return result;
  }
  run(GeneralPath{});
  return result;
}

template <int Dim, typename Scalar>
int scatter_sorted_in(const Call<Scalar>& call, const Scalar* y, const int64_t* point,
                      const int64_t* first, Scalar* features, void* stream) {
  return for_order<Dim>(call.order, [&](auto at) {
    return scatter_sorted_order<Dim, decltype(at)::value>(call, y, point, first, features, stream);
  });
}

#define DINFGRID_SCATTER_SORTED_IN(Dim, Scalar)                                           \
  template int scatter_sorted_in<Dim>(const Call<Scalar>&, const Scalar*, const int64_t*, \
                                      const int64_t*, Scalar*, void*)

// Each is compiled in a file of its own, in instances/.
extern DINFGRID_SCATTER_SORTED_IN(1, float);
extern DINFGRID_SCATTER_SORTED_IN(2, float);
extern DINFGRID_SCATTER_SORTED_IN(3, float);
extern DINFGRID_SCATTER_SORTED_IN(4, float);
extern DINFGRID_SCATTER_SORTED_IN(1, double);
extern DINFGRID_SCATTER_SORTED_IN(2, double);
extern DINFGRID_SCATTER_SORTED_IN(3, double);
extern DINFGRID_SCATTER_SORTED_IN(4, double);

}  // namespace cuda
}  // namespace dinfgrid
