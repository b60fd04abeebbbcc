// Compiled once per instruction set; see scatter_portable.cpp and scatter_avx2.cpp.

#include <memory>
#include <vector>

#include "../contract.h"
#include "../kernels.h"
#include "dispatch.h"
#include "inside.h"
#include "rows.h"
#include "tiles.h"

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// Adds points to the nodes of one level, a pack of points at a time.
template <typename Scalar, int Dim, int Order>
struct ScatterTask {
  using P = Pack<Scalar>;
  static constexpr int jet = jet_size(Dim, Order);

  const Call<Scalar>& call;
  const Scalar* y;

  template <int Count>
  void expand_channels(const Neighborhood<Scalar, Dim, Order>& hood, const int64_t (&row)[P::lanes],
                       int valid, int level, int from, Scalar* features) const {
    const Grid<Scalar>& grid = call.grid;
    const int64_t width = columns_of(call), column = column_of(call, level) + from;
    Channels<P, Count> g[jet];
    for (int a = 0; a < jet; ++a) {
      for (int c = 0; c < Count; ++c) {
        Scalar numbers[P::lanes];
        for (int l = 0; l < P::lanes; ++l) numbers[l] = y[(row[l] * jet + a) * width + column + c];
        g[a].c[c] = P::load(numbers);
      }
    }
    const Patch<Scalar, Dim, Order, Count> patch{hood, grid.channels};
    const RowWriter<Scalar, Dim, Order, Count> writer(patch, features + from, valid);
    expand<Dim, Order>(hood.nodes, hood.rows, g, writer);
  }

  ///   point_of   maps i = begin..end-1 to one of the points
  ///   features   of this level, added to
  template <typename PointOf>
  void operator()(const Points<Scalar>& points, int64_t begin, int64_t end, PointOf&& point_of,
                  int level, Scalar* features) const {
    Neighborhood<Scalar, Dim, Order> hood;
    for (int64_t i = begin; i < end; i += P::lanes) {
      const int valid = end - i < P::lanes ? static_cast<int>(end - i) : P::lanes;
      int64_t row[P::lanes];
      Scalar x[Dim][P::lanes];
      for (int l = 0; l < P::lanes; ++l) {
        const int64_t point = point_of(i + (l < valid ? l : valid - 1));
        row[l] = points.row_of(point);
        for (int axis = 0; axis < Dim; ++axis) x[axis][l] = points.x[point * Dim + axis];
      }
      hood.locate_points(call.grid, level, x);
      for_channel_groups(call.grid.channels, [&](auto count, int from) {
        expand_channels<decltype(count)::value>(hood, row, valid, level, from, features);
      });
    }
  }
};

/// A level with too few tiles to keep the cores busy: chunks of points go to copies of the level,
/// which are added up in the order of the chunks.
template <typename Scalar>
struct Copies {
  static constexpr int kCopies = 8;
  int level;
  int64_t size;
  std::vector<Scalar> memory;

  Copies(const Grid<Scalar>& grid, int level)
      : level(level), size(level_nodes(grid, level) * grid.channels), memory(kCopies * size) {}

  void add_to(Scalar* features) const {
    for (int copy = 0; copy < kCopies; ++copy)
      for (int64_t i = 0; i < size; ++i) features[i] += memory[copy * size + i];
  }
};

/// One unit of parallel work on a tiled level.
struct Job {
  int64_t index;       // into the plan's tiled levels
  int64_t begin, end;  // tiles, or chunks of points
};

template <typename Scalar>
struct TiledLevel {
  int level;
  Tiling<Scalar> tiling;
  TileOrder<Scalar> order;

  TiledLevel(const Grid<Scalar>& grid, const Points<Scalar>& points, int level)
      : level(level), tiling(grid, level), order(points, grid.dim, tiling) {}
};

}  // namespace DINFGRID_ISA

namespace cpu {
namespace DINFGRID_ISA {

/// Splits the levels by how they are scattered.
template <typename Scalar>
struct ScatterPlan {
  static constexpr int32_t kFewTiles = 32;
  static constexpr int64_t kLargeCopy = 1 << 18;  // numbers; a larger level is not copied
  static constexpr int64_t kFewPoints = 4096;     // that a local level holds: not worth sharing
  std::vector<Points<Scalar>> points;             // of each level
  std::vector<std::unique_ptr<TiledLevel<Scalar>>> tiled;
  std::vector<Copies<Scalar>> copied;
  std::vector<int> whole;  // levels that one thread scatters

  ///   held   points of each level, if the levels are local
  ScatterPlan(const Call<Scalar>& call, const std::vector<HeldPoints<Scalar>>& held) {
    for (int level = 0; level < call.grid.levels; ++level) {
      points.push_back({call.points, call.x, nullptr});
      if (call.grid.local)
        points.back() = {static_cast<int64_t>(held[level].row.size()), held[level].x.data(),
                         held[level].row.data()};
      const bool small = level_nodes(call.grid, level) * call.grid.channels <= kLargeCopy;
      if (call.grid.local && points.back().count <= kFewPoints)
        whole.push_back(level);
      else if (small && Tiling<Scalar>(call.grid, level).count() < kFewTiles)
        copied.emplace_back(call.grid, level);
      else
        tiled.push_back(std::make_unique<TiledLevel<Scalar>>(call.grid, points.back(), level));
    }
  }

  /// Tiles of one colour in runs of some thousand points. Neighbouring tiles share cache lines, so
  /// that a thread per tile would spend its time on waiting for them.
  std::vector<Job> jobs_of(int colour) const {
    std::vector<Job> jobs;
    for (size_t t = 0; t < tiled.size(); ++t) {
      const TiledLevel<Scalar>& level = *tiled[t];
      const int64_t share = points[level.level].count / 32, enough = share > 1024 ? share : 1024;
      int64_t collected = enough;
      for (int32_t tile = 0; tile < level.tiling.count(); ++tile) {
        if (level.tiling.colour_of(tile) != colour) continue;
        if (collected >= enough) {
          jobs.push_back({int64_t(t), tile, tile});
          collected = 0;
        }
        jobs.back().end = tile + 1;
        collected += level.order.end_of(tile) - level.order.begin_of(tile);
      }
    }
    return jobs;
  }

  void sort(const Parallel& parallel) {
    std::vector<Job> jobs;
    for (size_t t = 0; t < tiled.size(); ++t)
      for (int64_t c = 0; c < tiled[t]->order.chunks(); ++c) jobs.push_back({int64_t(t), c, c + 1});
    const auto count = static_cast<int64_t>(jobs.size());
    parallel(count, [&](int64_t i) { tiled[jobs[i].index]->order.count(jobs[i].begin); });
    for (auto& level : tiled) level->order.accumulate();
    parallel(count, [&](int64_t i) { tiled[jobs[i].index]->order.place(jobs[i].begin); });
  }
};

/// Runs a plan's tasks, a level's features being disjoint from any other's.
template <typename Scalar, typename Task, typename FeaturesOf>
void scatter_levels(ScatterPlan<Scalar>& plan, const Task& task, const FeaturesOf& features_of,
                    const Parallel& parallel) {
  const auto itself = [](int64_t p) { return p; };
  constexpr int copies = Copies<Scalar>::kCopies;
  parallel(static_cast<int64_t>(plan.copied.size()) * copies, [&](int64_t i) {
    Copies<Scalar>& copied = plan.copied[i / copies];
    const Points<Scalar>& points = plan.points[copied.level];
    const int64_t copy = i % copies;
    task(points, points.count * copy / copies, points.count * (copy + 1) / copies, itself,
         copied.level, copied.memory.data() + copy * copied.size);
  });
  parallel(static_cast<int64_t>(plan.whole.size()), [&](int64_t i) {
    const int level = plan.whole[i];
    task(plan.points[level], 0, plan.points[level].count, itself, level, features_of(level));
  });
  for (int colour = 0; colour < Tiling<Scalar>::kColours; ++colour) {
    const std::vector<Job> jobs = plan.jobs_of(colour);
    parallel(static_cast<int64_t>(jobs.size()), [&](int64_t i) {
      const TiledLevel<Scalar>& tiled = *plan.tiled[jobs[i].index];
      for (auto tile = static_cast<int32_t>(jobs[i].begin); tile < jobs[i].end; ++tile) {
        if (tiled.tiling.colour_of(tile) != colour) continue;
        const int64_t* own = tiled.order.begin_of(tile);
        task(
            plan.points[tiled.level], 0, tiled.order.end_of(tile) - own,
            [own](int64_t p) { return own[p]; }, tiled.level, features_of(tiled.level));
      }
    });
  }
}

template <typename Scalar>
void scatter(const Call<Scalar>& call, const Scalar* y, Scalar* features,
             const Parallel& parallel) {
  if (call.points == 0) return;
  std::vector<HeldPoints<Scalar>> held;
  if (call.grid.local)
    for_dim_and_order(call.grid.dim, 0, [&](auto dim, auto) {
      held = held_points<decltype(dim)::value>(call, parallel);
    });
  ScatterPlan<Scalar> plan(call, held);
  plan.sort(parallel);
  const auto features_of = [&](int level) {
    return features + call.grid.level[level].first_node * call.grid.channels;
  };
  for_dim_and_order(call.grid.dim, call.order, [&](auto dim, auto order) {
    const ScatterTask<Scalar, decltype(dim)::value, decltype(order)::value> task{call, y};
    scatter_levels(plan, task, features_of, parallel);
  });
  parallel(static_cast<int64_t>(plan.copied.size()),
           [&](int64_t i) { plan.copied[i].add_to(features_of(plan.copied[i].level)); });
}

}  // namespace DINFGRID_ISA
}  // namespace cpu
}  // namespace dinfgrid
