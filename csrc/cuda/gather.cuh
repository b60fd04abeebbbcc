#pragma once

#include "launch.h"
#include "paths.h"

namespace dinfgrid {
namespace cuda {

/// How a warp shares its work. A lane takes one point on one level, the levels of a point side by
/// side, so that the jets of a warp are one piece of y. One lane's jet is a strided piece of that:
/// jets are collected in shared memory, a group of channels at a time, and leave it in whole lines.
/// The stage is [points, J, levels, group] for concat, as y is, and [levels, points, J, group] for
/// a sum.
struct GatherPlan {
  unsigned points;      // of a warp at a time, 32 / levels
  unsigned reciprocal;  // lane / levels is (lane * reciprocal) >> 16
  int group;            // channels in shared memory
  int group_numbers;    // of one point in the stage; the levels of a sum make one number each
  int level_stride;     // of the stage, in the Count channels that one lane holds
  int point_stride;
  int jet_stride;
  unsigned tile_numbers;   // of y that a warp writes
  unsigned point_numbers;  // of one point in y
  unsigned point_vectors;  // of four numbers each, if y takes them; else 0
};

/// Warps of a block, as many as have room for one group of channels.
template <int Dim, int Order, int Count, typename Scalar>
__host__ __device__ constexpr int gather_warps() {
  constexpr size_t bytes = kWarp * jet_size(Dim, Order) * Count * sizeof(Scalar);
  return kWarps * bytes > kSharedBytes ? kWarps / 2 : kWarps;
}

/// Copies what is staged of `rows` points to y, adding levels for a sum.
///   channel   first channel of the group
template <int JetCount, int Count, typename Scalar>
__device__ __forceinline__ void write_stage(const Call<Scalar>& call, const GatherPlan& plan,
                                            const Scalar* stage, int rows, int channel, Scalar* y,
                                            int lane) {
  const Grid<Scalar>& grid = call.grid;
  if (plan.point_vectors != 0) {
    // Count is the number of channels then, and a full warp has one jet a lane to copy.
    using Unit = Channels<Scalar, 4>;
    constexpr int most = (JetCount * Count + 3) / 4;
    const int units = rows * static_cast<int>(plan.point_vectors);
    const Unit* from = reinterpret_cast<const Unit*>(stage) + lane;
    Unit* to = reinterpret_cast<Unit*>(y) + lane;
    if (units == most * kWarp) {
      DINFGRID_UNROLL
      for (int i = 0; i < most; ++i) to[i * kWarp] = from[i * kWarp];
    } else {
      for (int i = lane; i < units; i += kWarp, from += kWarp, to += kWarp) *to = *from;
    }
    return;
  }
  const int count = rows * plan.group_numbers;
  DINFGRID_UNROLL_BY(1)
  for (int i = lane; i < count; i += kWarp) {
    Scalar value = stage[i];
    if (!call.concat) {
      for (int level = 1; level < grid.levels; ++level)
        value += stage[level * plan.level_stride * Count + i];
    }
    if (plan.group == grid.channels)
      y[i] = value;
    else
      y[i / plan.group * grid.channels + channel + i % plan.group] = value;
  }
}

template <int Dim, int Order, typename Path, int Count, typename Scalar>
__global__ void __launch_bounds__(kThreads, (resident_blocks<Dim, Order, Path, Count, Scalar>()))
    gather_kernel(const __grid_constant__ Call<Scalar> call, const Scalar* __restrict__ features,
                  Scalar* __restrict__ y, const GatherPlan plan) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  constexpr int jet_count = jet_size(Dim, Order);
  constexpr unsigned warps = gather_warps<Dim, Order, Count, Scalar>();
  constexpr int passes = Path::template passes<Dim, Order>();
  using Value = Channels<Scalar, Count>;
  const Grid<Scalar>& grid = call.grid;
  const int channels = Path::all_channels ? Count : grid.channels;
  const int group_channels = Path::all_channels ? Count : plan.group;
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const unsigned row = (lane * plan.reciprocal) >> 16;
  const int level = static_cast<int>(lane - row * grid.levels);
  Scalar* stage =
      reinterpret_cast<Scalar*>(shared_bytes) + warp * (kWarp * jet_count * group_channels);
  Value* own_stage = reinterpret_cast<Value*>(stage) +
                     (static_cast<int>(row) * plan.point_stride + level * plan.level_stride);
  const Scalar* level_features = features + grid.level[level].first_node * channels;

  typename Path::template Point<Dim, Order, Count, Scalar> own(grid, level);
  const unsigned tile = blockIdx.x * warps + warp, most = passes * plan.points;
  const uint64_t first_point = static_cast<uint64_t>(tile) * most;
  const int64_t left = call.points - static_cast<int64_t>(first_point);
  const int todo = static_cast<int>(left < most ? left : most);
  const Scalar* x = call.x + (first_point + row) * Dim;
  y += static_cast<uint64_t>(tile) * plan.tile_numbers;
  DINFGRID_UNROLL
  for (int pass = 0; pass < passes; ++pass) {
    const int rows =
        min(todo - pass * static_cast<int>(plan.points), static_cast<int>(plan.points));
    for (int group = 0; group < channels; group += group_channels) {
      if (static_cast<int>(row) < rows) {
        own.locate(x);
        for (int channel = 0; channel < group_channels; channel += Count) {
          Value jet[jet_count];
          own.gather(level_features + (group + channel), jet);
          Value* to = own_stage + channel / Count;
          DINFGRID_UNROLL
          for (int a = 0; a < jet_count; ++a, to += plan.jet_stride) *to = jet[a];
        }
      }
      __syncwarp();
      write_stage<jet_count, Count>(call, plan, stage, rows, group, y, static_cast<int>(lane));
      __syncwarp();
    }
    x += plan.points * Dim;
    y += plan.points * plan.point_numbers;
  }
}

template <int Dim, int Order, int Count, typename Scalar>
GatherPlan plan_gather(const Call<Scalar>& call, const Scalar* y, int passes) {
  constexpr int jet_count = jet_size(Dim, Order);
  const int levels = call.grid.levels, channels = call.grid.channels;
  const size_t room = kSharedBytes / (gather_warps<Dim, Order, Count, Scalar>() * kWarp *
                                      jet_count * sizeof(Scalar));
  GatherPlan plan{};
  plan.points = kWarp / levels;
  plan.reciprocal = (65536u + levels - 1) / levels;
  for (int group = Count; group <= channels && static_cast<size_t>(group) <= room; group += Count)
    if (channels % group == 0) plan.group = group;
  const int columns = call.concat ? levels : 1;
  plan.jet_stride = columns * plan.group / Count;
  plan.point_stride = jet_count * plan.jet_stride;
  plan.level_stride = call.concat ? plan.group / Count : plan.points * plan.point_stride;
  plan.point_numbers = jet_count * columns * channels;
  plan.tile_numbers = plan.point_numbers * plan.points * passes;
  plan.group_numbers = jet_count * columns * plan.group;
  if (call.concat && channels == Count && plan.point_numbers % 4 == 0 && is_aligned<4>(y))
    plan.point_vectors = plan.point_numbers / 4;
  return plan;
}

template <int Dim, int Order, typename Path, int Count, typename Scalar>
int launch_gather(const Call<Scalar>& call, const Scalar* features, Scalar* y, void* stream) {
  constexpr int passes = Path::template passes<Dim, Order>();
  const GatherPlan plan = plan_gather<Dim, Order, Count>(call, y, passes);
  constexpr int warps = gather_warps<Dim, Order, Count, Scalar>();
  const size_t bytes =
      static_cast<size_t>(warps) * kWarp * jet_size(Dim, Order) * plan.group * sizeof(Scalar);
  return launch(gather_kernel<Dim, Order, Path, Count, Scalar>,
                dim3(blocks_for(call.points, warps * plan.points * passes)), warps * kWarp, bytes,
                stream, call, features, y, plan);
}

}  // namespace cuda
}  // namespace dinfgrid
