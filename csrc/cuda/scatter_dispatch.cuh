#pragma once

#include "dispatch.h"
#include "scatter.cuh"

namespace dinfgrid {
namespace cuda {

/// Launches the kernels that fit a call in `Dim` dimensions best. Atomics bind here, so that ghost
/// grids need no path of their own.
template <int Dim, int Order, typename Scalar>
int scatter_order(const Call<Scalar>& call, const Scalar* y, Scalar* features, void* stream) {
  if (call.points == 0) return 0;
  constexpr bool is_float = sizeof(Scalar) == sizeof(float);
  const bool pairs =
      is_float && call.grid.channels % 2 == 0 && is_aligned<2>(features) && is_aligned<2>(y);
  int result = 0;
  const auto run = [&](auto path, auto count) {
    result = launch_scatter<Dim, Order, decltype(path), decltype(count)::value>(call, y, features,
                                                                                stream);
    return true;
  };
  const auto run_short = [&](auto path) {
    if constexpr (is_float) {
      if (pairs) return run(path, At<2>{});
    }
    return run(path, At<1>{});
  };
  if (for_fast_path<ShortPath, Dim, Order>(call.grid, run_short)) return result;
  run(GeneralPath{}, At<1>{});
  return result;
}

template <int Dim, typename Scalar>
int scatter_in(const Call<Scalar>& call, const Scalar* y, Scalar* features, void* stream) {
  return for_order<Dim>(call.order, [&](auto at) {
    return scatter_order<Dim, decltype(at)::value>(call, y, features, stream);
  });
}

// Each is compiled in a file of its own, in instances/.
extern template int scatter_in<1>(const Call<float>&, const float*, float*, void*);
extern template int scatter_in<2>(const Call<float>&, const float*, float*, void*);
extern template int scatter_in<3>(const Call<float>&, const float*, float*, void*);
extern template int scatter_in<4>(const Call<float>&, const float*, float*, void*);
extern template int scatter_in<1>(const Call<double>&, const double*, double*, void*);
extern template int scatter_in<2>(const Call<double>&, const double*, double*, void*);
extern template int scatter_in<3>(const Call<double>&, const double*, double*, void*);
extern template int scatter_in<4>(const Call<double>&, const double*, double*, void*);

}  // namespace cuda
}  // namespace dinfgrid
