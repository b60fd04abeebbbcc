#pragma once

#include "channels.h"
#include "neighborhood.h"

// Access to the features of a pack of points, row by row. A row is what the neighbourhood holds
// along the last axis: 2 rho nodes x channels, contiguous in memory except where it meets a clamped
// or periodic end. Every lane has its own row, so rows are loaded lane by lane and transposed.

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

/// Adds the first `count` numbers of a pack (all of them, if there are fewer) to memory.
template <typename Scalar>
DINFGRID_HD void add_first(Pack<Scalar> pack, int count, Scalar* to) {
  using P = Pack<Scalar>;
  if (count >= P::lanes) {
    (P::load(to) + pack).store(to);
    return;
  }
  Scalar numbers[P::lanes];
  pack.store(numbers);
  int i = 0;
  if (count >= P::lanes / 2) {
    typedef Scalar Half __attribute__((vector_size(kPackBytes / 2)));
    Half sum, part;
    std::memcpy(&sum, to, sizeof(Half));
    std::memcpy(&part, numbers, sizeof(Half));
    sum += part;
    std::memcpy(to, &sum, sizeof(Half));
    i = P::lanes / 2;
  }
  for (; i < count; ++i) to[i] += numbers[i];
}

/// What the readers and writers of one pack of points share.
template <typename Scalar, int Dim, int Order, int Count>
struct Patch {
  const Neighborhood<Scalar, Dim, Order>& hood;
  int channels;  // of the grid; Count of them, from the one that `features` points to, take part

  DINFGRID_HD int numbers() const { return hood.nodes * Count; }
  DINFGRID_HD bool all_channels() const { return channels == Count; }
};

template <typename Scalar, int Dim, int Order, int Count>
class RowReader {
 public:
  using P = Pack<Scalar>;
  using Value = Channels<P, Count>;

  ///   features   first feature of the level and channel
  ///   end        end of the whole feature array; whole packs are read only before it
  RowReader(const Patch<Scalar, Dim, Order, Count>& patch, const Scalar* features,
            const Scalar* end)
      : patch_(patch) {
    for (int l = 0; l < P::lanes; ++l) at_[l] = features;
    direct_ = patch.hood.contiguous &&
              end - features >= patch.hood.last_offset() + patch.channels + P::lanes;
    if constexpr (Dim == 1) load();
  }

  template <int Axis>
  DINFGRID_HD RowReader inner(int i) const {
    RowReader reader(*this);
    for (int l = 0; l < P::lanes; ++l) reader.at_[l] += patch_.hood.offset[Axis][i][l];
    if constexpr (Axis == Dim - 2) reader.load();
    return reader;
  }

  DINFGRID_HD Value value(int k) const {
    Value value;
    for (int c = 0; c < Count; ++c) value.c[c] = row_[k * Count + c];
    return value;
  }

 private:
  DINFGRID_HD RowReader(const RowReader& outer) : patch_(outer.patch_), direct_(outer.direct_) {
    for (int l = 0; l < P::lanes; ++l) at_[l] = outer.at_[l];
  }

  DINFGRID_HD void load() {
    const auto& offset = patch_.hood.offset[Dim - 1];
    if (!direct_) return load_scattered();
    const Scalar* from[P::lanes];
    for (int l = 0; l < P::lanes; ++l) from[l] = at_[l] + offset[0][l];
    if (patch_.all_channels()) return load_transposed(from, patch_.numbers(), row_);
    for (int k = 0; k < patch_.hood.nodes; ++k) {
      load_transposed(from, Count, row_ + k * Count);
      for (int l = 0; l < P::lanes; ++l) from[l] += patch_.channels;
    }
  }

  /// For rows that meet an end of the axis, or of the feature array: node by node.
  __attribute__((noinline)) void load_scattered() {
    const auto& offset = patch_.hood.offset[Dim - 1];
    const Scalar* from[P::lanes];
    Scalar copies[P::lanes][kMaxNodes * Count + P::lanes];
    for (int l = 0; l < P::lanes; ++l) {
      for (int k = 0; k < patch_.hood.nodes; ++k)
        for (int c = 0; c < Count; ++c) copies[l][k * Count + c] = at_[l][offset[k][l] + c];
      from[l] = copies[l];
    }
    load_transposed(from, patch_.numbers(), row_);
  }

  const Patch<Scalar, Dim, Order, Count>& patch_;
  bool direct_;
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
    const auto& offset = patch_.hood.offset[Dim - 1];
    if (!patch_.hood.contiguous || !patch_.all_channels()) return flush_scattered();
    const int numbers = patch_.numbers();
    for (int j = 0; j < numbers; j += P::lanes) {
      P square[P::lanes];
      for (int l = 0; l < P::lanes; ++l) square[l] = row_[j + l];
      transpose(square);
      for (int l = 0; l < valid_; ++l) add_first(square[l], numbers - j, at_[l] + offset[0][l] + j);
    }
  }

  /// For rows that meet an end of the axis, or hold more channels than this one: node by node.
  __attribute__((noinline)) void flush_scattered() {
    const auto& offset = patch_.hood.offset[Dim - 1];
    for (int k = 0; k < patch_.hood.nodes; ++k)
      for (int c = 0; c < Count; ++c)
        for (int l = 0; l < valid_; ++l) at_[l][offset[k][l] + c] += row_[k * Count + c].v[l];
  }

  const Patch<Scalar, Dim, Order, Count>& patch_;
  int valid_;
  bool is_row_ = Dim == 1;
  Scalar* at_[P::lanes];
  mutable P row_[kMaxNodes * Count + P::lanes];
};

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
