#pragma once

#include <limits>
#include <vector>

#include "../kernels.h"
#include "dispatch.h"
#include "pack.h"

// Local levels are looked up only at the points that they hold. These are listed first, so that the
// packs of points that follow are full.

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// A run of up to kMost points, coordinate by coordinate and wrapped, from which local levels take
/// theirs.
template <typename Scalar, int Dim>
class Run {
 public:
  using P = Pack<Scalar>;
  static constexpr int64_t kMost = 2048;

  explicit Run(const Grid<Scalar>& grid) : grid_(grid), packs_(Dim * kPacks) {}

  ///   x       [count, Dim]
  ///   count   1..kMost
  void read(const Scalar* x, int64_t count) {
    count_ = static_cast<int32_t>(count);
    for (int axis = 0; axis < Dim; ++axis) {
      Scalar* to = coordinates(axis);
      Scalar least = std::numeric_limits<Scalar>::infinity(), most = -least;
      bool is_number = true;
      for (int32_t i = 0; i < count_; ++i) {
        const Scalar at = wrapped(grid_, axis, x[i * Dim + axis]);
        to[i] = at;
        is_number &= at == at;
        least = at < least ? at : least;
        most = at > most ? at : most;
      }
      for (int32_t i = count_; i % P::lanes != 0; ++i) to[i] = to[count_ - 1];
      constexpr Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();  // beyond no end
      least_[axis] = is_number ? least : nan;
      most_[axis] = is_number ? most : nan;
    }
  }

  /// Lists the points that a level holds, in their order, and returns how many they are.
  ///   list   [kMost + lanes]
  int32_t inside(const Level<Scalar>& level, int32_t* list) {
    for (int axis = 0; axis < Dim; ++axis)
      if (most_[axis] < level.begin[axis] || least_[axis] >= level.end[axis]) return 0;
    int32_t found = 0;
    for (int32_t i = 0; i < count_; i += P::lanes) {
      typename P::Integers beyond{};
      for (int axis = 0; axis < Dim; ++axis) {
        const P x = P::load(coordinates(axis) + i);
        beyond |= (x < P(level.begin[axis])) | (x >= P(level.end[axis]));
      }
      if (all(beyond)) continue;
      for (int l = 0; l < P::lanes; ++l) {
        list[found] = i + l;
        found += beyond[l] == 0 && i + l < count_;
      }
    }
    return found;
  }

  Scalar x(int axis, int32_t i) { return coordinates(axis)[i]; }

 private:
  static constexpr int64_t kPacks = kMost / P::lanes;

  Scalar* coordinates(int axis) { return reinterpret_cast<Scalar*>(packs_.data() + axis * kPacks); }

  const Grid<Scalar>& grid_;
  int32_t count_ = 0;
  Scratch<P> packs_;
  Scalar least_[Dim], most_[Dim];  // NaN if a coordinate is, which may be inside of anything
};

/// Points of one level, in their order, and the rows of y that belong to them.
template <typename Scalar>
struct HeldPoints {
  std::vector<Scalar> x;  // [count, dim], wrapped
  std::vector<int64_t> row;

  void append(const HeldPoints& others) {
    x.insert(x.end(), others.x.begin(), others.x.end());
    row.insert(row.end(), others.row.begin(), others.row.end());
  }
};

/// The points that each local level holds, [levels], in an order that threads do not change.
template <int Dim, typename Scalar>
std::vector<HeldPoints<Scalar>> held_points(const Call<Scalar>& call,
                                            const cpu::Parallel& parallel) {
  using Runs = Run<Scalar, Dim>;
  const int levels = call.grid.levels;
  const int64_t runs = (call.points + Runs::kMost - 1) / Runs::kMost;
  std::vector<HeldPoints<Scalar>> parts(runs * levels), whole(levels);
  parallel(runs, [&](int64_t i) {
    const int64_t first = i * Runs::kMost, left = call.points - first;
    Runs run(call.grid);
    run.read(call.x + first * Dim, left < Runs::kMost ? left : Runs::kMost);
    std::vector<int32_t> list(Runs::kMost + Pack<Scalar>::lanes);
    for (int level = 0; level < levels; ++level) {
      HeldPoints<Scalar>& held = parts[i * levels + level];
      const int32_t found = run.inside(call.grid.level[level], list.data());
      for (int32_t j = 0; j < found; ++j) {
        held.row.push_back(first + list[j]);
        for (int axis = 0; axis < Dim; ++axis) held.x.push_back(run.x(axis, list[j]));
      }
    }
  });
  parallel(levels, [&](int64_t level) {
    for (int64_t i = 0; i < runs; ++i) whole[level].append(parts[i * levels + level]);
  });
  return whole;
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
