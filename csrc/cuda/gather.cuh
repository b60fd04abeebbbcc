#pragma once

#include "feature_access.h"
#include "launch.h"

namespace dinfgrid {
namespace cuda {

/// How a block shares its work. A warp takes 32 points and every `level_warps`-th level, so that
/// the points of one warp read the same level; jets are collected in shared memory and leave the
/// block as whole lines, since one thread's jet is a strided piece of the output.
struct GatherPlan {
  int level_warps;  // warps that share the levels of 32 points: 1, 2 or 4
  bool staged;      // through shared memory, or straight to y
  int slice;        // units of shared memory of one slice; a sum has one slice a level warp

  __host__ __device__ int points() const { return kWarp * (kWarps / level_warps); }
};

/// Jets are staged in units of the channels that one thread holds of a number. A unit of padding
/// per 32 spreads a column of jets over the banks and keeps rows contiguous.
__host__ __device__ __forceinline__ unsigned padded(unsigned unit) { return unit + unit / kWarp; }

/// One point's jets in shared memory.
///   unit, width   place of the first derivative, and units from one derivative to the next
template <typename Scalar, int Count>
__device__ __forceinline__ void stage_jet(const Channels<Scalar, Count>* jet, int size,
                                          unsigned unit, unsigned width, bool first,
                                          Channels<Scalar, Count>* stage) {
  DINFGRID_UNROLL
  for (int a = 0; a < size; ++a) {
    Channels<Scalar, Count>* to = stage + padded(unit + a * width);
    *to = first ? jet[a] : *to + jet[a];
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

/// Writes `count` staged units, adding the slices of a sum.
template <typename Value>
__device__ __forceinline__ void write_stage(const Value* stage, int slices, unsigned slice,
                                            unsigned count, Value* y) {
  constexpr unsigned step = kThreads + kThreads / kWarp;  // padding included
  const Value* from = stage + padded(threadIdx.x);
  Value* to = y + threadIdx.x;
  unsigned i = threadIdx.x;
  if (slices == 1) {
    for (; i + 3 * kThreads < count; i += 4 * kThreads, from += 4 * step, to += 4 * kThreads) {
      DINFGRID_UNROLL
      for (int j = 0; j < 4; ++j) to[j * kThreads] = from[j * step];
    }
  }
  for (; i < count; i += kThreads, from += step, to += kThreads) {
    Value sum = *from;
    for (int s = 1; s < slices; ++s) sum = sum + from[s * slice];
    *to = sum;
  }
}

template <int Dim, int Order, typename Path, int Count, typename Scalar>
__global__ void __launch_bounds__(kThreads, (resident_blocks<Dim, Order, Path, Count, Scalar>()))
    gather_kernel(const __grid_constant__ Call<Scalar> call, const Scalar* __restrict__ features,
                  Scalar* __restrict__ y, const GatherPlan plan) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  using Value = Channels<Scalar, Count>;
  Value* stage = reinterpret_cast<Value*>(shared_bytes);
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
    const Scalar* at = features + grid.level[level].first_node * grid.channels + offsets.first();
    const bool first = call.concat || level == own_slice;
    for (int from = 0; from < grid.channels; from += Count) {
      const int column = (call.concat ? level * grid.channels : 0) + from;
      const FeatureReader<Dim, Count, Scalar, decltype(offsets)> reader(offsets, at + from);
      Value jet[jet_count];
      contract<Dim, Order>(hood.nodes, hood.rows, reader, jet);
      if (plan.staged) {
        Value* to = stage + (call.concat ? 0 : own_slice * plan.slice);
        stage_jet(jet, jet_count, (row * numbers + column) / Count, width / Count, first, to);
      } else {
        store_jet(jet, jet_count, width, first, y + point * numbers + column);
      }
      if (Path::ghost) break;  // all channels at once
    }
  }
  if (!plan.staged) return;
  __syncthreads();
  const int slices = call.concat ? 1 : plan.level_warps;
  write_stage(stage, slices, plan.slice, rows * numbers / Count,
              reinterpret_cast<Value*>(y + first_point * numbers));
}

/// The widest sharing of levels that leaves no warp idle, as far as shared memory allows.
template <int Count, typename Scalar>
GatherPlan plan_gather(const Call<Scalar>& call, int jet_count) {
  const Grid<Scalar>& grid = call.grid;
  const int64_t units =
      static_cast<int64_t>(jet_count) * (grid.channels / Count) * (call.concat ? grid.levels : 1);
  const int even = grid.levels % 4 == 0 ? 4 : (grid.levels % 2 == 0 ? 2 : 1);
  const int64_t room = kSharedBytes / (sizeof(Scalar) * Count);
  for (int level_warps = even; level_warps <= kWarps; level_warps *= 2) {
    GatherPlan plan{level_warps, true, 0};
    const int64_t slices = call.concat ? 1 : level_warps;
    const int64_t slice = plan.points() * units * (kWarp + 1) / kWarp + 1;
    if (slice * slices > room) continue;
    plan.slice = static_cast<int>(slice);
    return plan;
  }
  // Without a stage, a sum over levels belongs to one thread.
  return {call.concat ? even : 1, false, 0};
}

template <int Dim, int Order, typename Path, int Count, typename Scalar>
int launch_gather(const Call<Scalar>& call, const Scalar* features, Scalar* y, void* stream) {
  const GatherPlan plan = plan_gather<Count>(call, jet_size(Dim, Order));
  const int slices = call.concat ? 1 : plan.level_warps;
  const size_t bytes = plan.staged ? slices * plan.slice * sizeof(Scalar) * Count : 0;
  return launch(gather_kernel<Dim, Order, Path, Count, Scalar>,
                dim3(blocks_for(call.points, plan.points())), bytes, stream, call, features, y,
                plan);
}

}  // namespace cuda
}  // namespace dinfgrid
