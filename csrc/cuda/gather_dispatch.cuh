#pragma once

#include "dispatch.h"
#include "feature_access.h"
#include "gather.cuh"

namespace dinfgrid {
namespace cuda {

/// Launches the kernel that fits a call in `Dim` dimensions best.
template <int Dim, int Order, typename Scalar>
int gather_order(const Call<Scalar>& call, const Scalar* features, Scalar* y, void* stream) {
  if (call.points == 0) return 0;
  constexpr bool is_float = sizeof(Scalar) == sizeof(float);
  const int channels = call.grid.channels;
  const bool pairs = is_float && channels % 2 == 0 && is_aligned<2>(features) && is_aligned<2>(y);
  int result = 0;
  const auto run = [&](auto path, auto count) {
    result = launch_gather<Dim, Order, decltype(path), decltype(count)::value>(call, features, y,
                                                                               stream);
    return true;
  };
  // float64 has no paths of its own for windows, ghost grids and pairs of channels: its arithmetic
  // is slower, so that there is less to win.
  if constexpr (is_float) {
    const bool aligned = is_aligned<4>(features);
    const auto run_window = [&](auto path) {
      if (channels == 1) return aligned && run(path, At<1>{});
      return channels == 2 && pairs && aligned && run(path, At<2>{});
    };
    if (for_fast_path<GhostWindowPath, Dim, Order>(call.grid, run_window)) return result;
    if constexpr (Order <= kClampOrder) {
      if (for_fast_path<ClampWindowPath, Dim, Order>(call.grid, run_window)) return result;
    }
    const auto run_ghost = [&](auto path) {
      if (channels == 1) return run(path, At<1>{});
      return channels == 2 && pairs && run(path, At<2>{});
    };
    if (for_fast_path<GhostPath, Dim, Order>(call.grid, run_ghost)) return result;
  }
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
int gather_in(const Call<Scalar>& call, const Scalar* features, Scalar* y, void* stream) {
  return for_order<Dim>(call.order, [&](auto at) {
    return gather_order<Dim, decltype(at)::value>(call, features, y, stream);
  });
}

// Each is compiled in a file of its own, in instances/.
extern template int gather_in<1>(const Call<float>&, const float*, float*, void*);
extern template int gather_in<2>(const Call<float>&, const float*, float*, void*);
extern template int gather_in<3>(const Call<float>&, const float*, float*, void*);
extern template int gather_in<4>(const Call<float>&, const float*, float*, void*);
extern template int gather_in<1>(const Call<double>&, const double*, double*, void*);
extern template int gather_in<2>(const Call<double>&, const double*, double*, void*);
extern template int gather_in<3>(const Call<double>&, const double*, double*, void*);
extern template int gather_in<4>(const Call<double>&, const double*, double*, void*);

}  // namespace cuda
}  // namespace dinfgrid
