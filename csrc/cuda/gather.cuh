#pragma once

#include "feature_access.h"
#include "launch.h"

namespace dinfgrid {
namespace cuda {

/// How a block shares its work. A warp takes 32 points and every `level_warps`-th level, so that the
/// points of one warp read the same level; jets are collected in shared memory and leave the block as
/// whole lines, since one thread's jet is a strided piece of the output.
struct GatherPlan {
  int level_warps;  // warps that share the levels of 32 points: 1, 2 or 4
  bool staged;      // through shared memory, or straight to y
  int slice;        // numbers of shared memory of one slice; a sum has one slice a level warp

  __host__ __device__ int points() const { return kWarp * (kWarps / level_warps); }
};

/// One number of padding per 32 spreads a column of jets over the banks and keeps rows contiguous.
__host__ __device__ __forceinline__ int padded(int index) { return index + index / kWarp; }

/// One point's jets in shared memory.
template <typename Scalar, int Count>
__device__ __forceinline__ void stage_jet(const Channels<Scalar, Count>* jet, int size, int width,
                                          int index, bool first, Scalar* stage) {
  DINFGRID_UNROLL
  for (int a = 0; a < size; ++a) {
    // index + a * width is a multiple of Count, so that all channels have the same padding.
    Scalar* to = stage + padded(index + a * width);
    DINFGRID_UNROLL
    for (int c = 0; c < Count; ++c) to[c] = first ? jet[a].c[c] : to[c] + jet[a].c[c];
  }
}

/// One point's jets in global memory.
template <typename Scalar, int Count>
__device__ __forceinline__ void store_jet(const Channels<Scalar, Count>* jet, int size, int width,
                                          bool first, Scalar* y) {
  DINFGRID_UNROLL
  for (int a = 0; a < size; ++a) {
    auto* to = reinterpret_cast<Channels<Scalar, Count>*>(y + static_cast<int64_t>(a) * width);
    *to = first ? jet[a] : *to + jet[a];
  }
}

/// Writes `count` staged numbers, adding the slices of a sum.
template <typename Scalar>
__device__ __forceinline__ void write_stage(const Scalar* stage, int slices, int slice, int count,
                                            Scalar* y) {
  if (slices == 1) {
    DINFGRID_UNROLL_BY(4)
    for (int i = threadIdx.x; i < count; i += kThreads) y[i] = stage[padded(i)];
    return;
  }
  for (int i = threadIdx.x; i < count; i += kThreads) {
    Scalar sum = stage[padded(i)];
    for (int s = 1; s < slices; ++s) sum += stage[s * slice + padded(i)];
    y[i] = sum;
  }
}

template <int Dim, int Order, typename Path, int Count, typename Scalar>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(const __grid_constant__ Call<Scalar> call, const Scalar* __restrict__ features,
                  Scalar* __restrict__ y, const GatherPlan plan) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  Scalar* stage = reinterpret_cast<Scalar*>(shared_bytes);
  constexpr int jet_count = jet_size(Dim, Order);
  const Grid<Scalar>& grid = call.grid;
  const int width = grid.channels * (call.concat ? grid.levels : 1);
  const int numbers = jet_count * width;

  const int warp = threadIdx.x / kWarp;
  const int own_slice = warp % plan.level_warps;
  const int row = warp / plan.level_warps * kWarp + threadIdx.x % kWarp;
  const int64_t first_point = static_cast<int64_t>(blockIdx.x) * plan.points();
  const int64_t point = first_point + row;
  const int64_t left = call.points - first_point;
  const int rows = left < plan.points() ? static_cast<int>(left) : plan.points();

  for (int level = own_slice; level < grid.levels && row < rows; level += plan.level_warps) {
    Neighborhood<Scalar, Dim, Order, Path> hood;
    hood.locate(grid, level, call.x + point * Dim);
    const NodeOffsets<Scalar, Dim, Order, Path, Count> offsets(hood, grid, level);
    const Scalar* at =
        features + grid.level[level].first_node * grid.channels + offsets.first();
    const bool first = call.concat || level == own_slice;
    for (int from = 0; from < grid.channels; from += Count) {
      const int column = (call.concat ? level * grid.channels : 0) + from;
      const FeatureReader<Dim, Count, Scalar, decltype(offsets)> reader(offsets, at + from);
      Channels<Scalar, Count> jet[jet_count];
      contract<Dim, Order>(hood.nodes, hood.rows, reader, jet);
      if (plan.staged) {
        Scalar* to = stage + (call.concat ? 0 : own_slice * plan.slice);
        stage_jet(jet, jet_count, width, row * numbers + column, first, to);
      } else {
        store_jet(jet, jet_count, width, first, y + point * numbers + column);
      }
      if (Path::ghost) break;  // all channels at once
    }
  }
  if (!plan.staged) return;
  __syncthreads();
  const int slices = call.concat ? 1 : plan.level_warps;
  write_stage(stage, slices, plan.slice, rows * numbers, y + first_point * numbers);
}

/// The widest sharing of levels that leaves no warp idle, as far as shared memory allows.
template <typename Scalar>
GatherPlan plan_gather(const Call<Scalar>& call, int jet_count) {
  const Grid<Scalar>& grid = call.grid;
  const int64_t numbers =
      static_cast<int64_t>(jet_count) * grid.channels * (call.concat ? grid.levels : 1);
  const int even = grid.levels % 4 == 0 ? 4 : (grid.levels % 2 == 0 ? 2 : 1);
  const int64_t room = kSharedBytes / sizeof(Scalar);
  for (int level_warps = even; level_warps <= kWarps; level_warps *= 2) {
    GatherPlan plan{level_warps, true, 0};
    const int64_t slices = call.concat ? 1 : level_warps;
    const int64_t slice = plan.points() * numbers * (kWarp + 1) / kWarp + 1;
    if (slice * slices > room) continue;
    plan.slice = static_cast<int>(slice);
    return plan;
  }
  // Without a stage, a sum over levels belongs to one thread.
  return {call.concat ? even : 1, false, 0};
}

template <int Dim, int Order, typename Path, int Count, typename Scalar>
int launch_gather(const Call<Scalar>& call, const Scalar* features, Scalar* y, void* stream) {
  const GatherPlan plan = plan_gather(call, jet_size(Dim, Order));
  const int slices = call.concat ? 1 : plan.level_warps;
  const size_t bytes = plan.staged ? slices * plan.slice * sizeof(Scalar) : 0;
  return launch(gather_kernel<Dim, Order, Path, Count, Scalar>,
                dim3(blocks_for(call.points, plan.points())), bytes, stream, call, features, y, plan);
}

}  // namespace cuda
}  // namespace dinfgrid
