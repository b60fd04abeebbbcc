#pragma once

#include "channels.h"
#include "neighborhood.h"

// Access to the features of a pack of points, row by row. A row is what the neighbourhood holds along
// the last axis: 2 rho nodes x channels, contiguous in memory except where it meets a clamped or
// periodic end. Every lane has its own row, so rows are loaded lane by lane and transposed.

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// packs[j] = the j-th number behind each pointer, j = 0..count-1 rounded up to whole packs.
template <typename Scalar>
DINFGRID_HD void load_transposed(const Scalar* const (&from)[Pack<Scalar>::lanes], int count,
                                 Pack<Scalar>* packs) {
  constexpr int lanes = Pack<Scalar>::lanes;
  for (int j = 0; j < count; j += lanes) {
    Pack<Scalar> square[lanes];
    for (int l = 0; l < lanes; ++l) square[l] = Pack<Scalar>::load(from[l] + j);
    transpose(square);
    for (int l = 0; l < lanes; ++l) packs[j + l] = square[l];
  }
}

/// What the readers and writers of one pack of points share.
template <typename Scalar, int Dim, int Order, int Count>
struct Patch {
  const Neighborhood<Scalar, Dim, Order>& hood;
  int channels;  // of the grid; Count of them, from the one that `features` points to, take part
};

template <typename Scalar, int Dim, int Order, int Count>
class RowReader {
 public:
  using P = Pack<Scalar>;
  using Value = Channels<P, Count>;

  ///   features   first feature of the level and channel
  ///   end        end of the whole feature array
  RowReader(const Patch<Scalar, Dim, Order, Count>& patch, const Scalar* features,
            const Scalar* end)
      : patch_(patch), end_(end) {
    for (int l = 0; l < P::lanes; ++l) at_[l] = features;
    if constexpr (Dim == 1) load();
  }

  template <int Axis>
  DINFGRID_HD RowReader inner(int i) const {
    RowReader reader(patch_, end_);
    for (int l = 0; l < P::lanes; ++l) reader.at_[l] = at_[l] + patch_.hood.offset[Axis][i][l];
    if constexpr (Axis == Dim - 2) reader.load();
    return reader;
  }

  DINFGRID_HD Value value(int k) const {
    Value value;
    for (int c = 0; c < Count; ++c) value.c[c] = row_[k * Count + c];
    return value;
  }

 private:
  DINFGRID_HD RowReader(const Patch<Scalar, Dim, Order, Count>& patch, const Scalar* end)
      : patch_(patch), end_(end) {}

  /// Loads the row. Whole packs are read, so a lane whose packs would pass the end of the array, or
  /// whose nodes are scattered, is copied first.
  DINFGRID_HD void load() {
    const int nodes = patch_.hood.nodes;
    const auto& offset = patch_.hood.offset[Dim - 1];
    const Scalar* from[P::lanes];
    Scalar copies[P::lanes][kMaxNodes * Count + P::lanes];
    const bool whole = patch_.channels == Count;
    for (int l = 0; l < P::lanes; ++l) {
      from[l] = at_[l] + offset[0][l];
      const bool inside = end_ - from[l] >= nodes * Count + P::lanes;
      if (whole && patch_.hood.contiguous[l] && inside) continue;
      for (int k = 0; k < nodes; ++k)
        for (int c = 0; c < Count; ++c) copies[l][k * Count + c] = at_[l][offset[k][l] + c];
      from[l] = copies[l];
    }
    load_transposed(from, nodes * Count, row_);
  }

  const Patch<Scalar, Dim, Order, Count>& patch_;
  const Scalar* end_;
  const Scalar* at_[P::lanes];
  P row_[kMaxNodes * Count + P::lanes];
};

/// Collects a row for each lane and adds it to the nodes when it goes out of scope.
template <typename Scalar, int Dim, int Order, int Count>
class RowWriter {
 public:
  using P = Pack<Scalar>;
  using Value = Channels<P, Count>;

  ///   valid   number of lanes that hold a point
  RowWriter(const Patch<Scalar, Dim, Order, Count>& patch, Scalar* features, int valid)
      : patch_(patch), valid_(valid) {
    for (int l = 0; l < P::lanes; ++l) at_[l] = features;
  }
  RowWriter(const RowWriter&) = delete;
  RowWriter& operator=(const RowWriter&) = delete;

  ~RowWriter() {
    if (is_row_) flush();
  }

  template <int Axis>
  DINFGRID_HD RowWriter inner(int i) const {
    return RowWriter(*this, patch_.hood.offset[Axis][i], Axis == Dim - 2);
  }

  DINFGRID_HD void add(int k, const Value& value) const {
    for (int c = 0; c < Count; ++c) row_[k * Count + c] = value.c[c];
  }

 private:
  DINFGRID_HD RowWriter(const RowWriter& outer, const int64_t (&step)[P::lanes], bool is_row)
      : patch_(outer.patch_), valid_(outer.valid_), is_row_(is_row) {
    for (int l = 0; l < P::lanes; ++l) at_[l] = outer.at_[l] + step[l];
  }

  DINFGRID_HD void flush() {
    const int numbers = patch_.hood.nodes * Count;
    for (int j = 0; j < numbers; j += P::lanes) {
      P square[P::lanes];
      for (int l = 0; l < P::lanes; ++l) square[l] = row_[j + l];
      transpose(square);
      for (int l = 0; l < valid_; ++l) add_part(l, j, square[l], numbers - j);
    }
  }

  /// Adds numbers j, j + 1, ... of lane l's row, at most a pack and `left` of them.
  DINFGRID_HD void add_part(int l, int j, P part, int left) {
    const auto& offset = patch_.hood.offset[Dim - 1];
    const bool whole = patch_.channels == Count && patch_.hood.contiguous[l];
    if (whole && left >= P::lanes) {
      Scalar* to = at_[l] + offset[0][l] + j;
      (P::load(to) + part).store(to);
      return;
    }
    Scalar numbers[P::lanes];
    part.store(numbers);
    const int count = left < P::lanes ? left : P::lanes;
    if (whole) {
      Scalar* to = at_[l] + offset[0][l] + j;
      for (int i = 0; i < count; ++i) to[i] += numbers[i];
      return;
    }
    for (int i = 0; i < count; ++i)
      at_[l][offset[(j + i) / Count][l] + (j + i) % Count] += numbers[i];
  }

  const Patch<Scalar, Dim, Order, Count>& patch_;
  int valid_;
  bool is_row_ = Dim == 1;
  Scalar* at_[P::lanes];
  mutable P row_[kMaxNodes * Count + P::lanes];
};

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
