#pragma once

#include "neighborhood.h"

// The walk of contract() and expand() over the features of one point's neighbourhood.

namespace dinfgrid {
namespace cuda {

/// Where the nodes of a neighbourhood are, in numbers from the level's first feature.
template <typename Scalar, int Dim, int Order, typename Path, int Count>
class NodeOffsets {
 public:
  using Nodes = typename Path::Nodes;
  using Offset = typename Path::Offset;

  __device__ __forceinline__ NodeOffsets(const Neighborhood<Scalar, Dim, Order, Path>& hood,
                                         const Grid<Scalar>& grid, int level)
      : hood_(hood), grid_(grid), level_(level) {
    stride_[Dim - 1] = channels();
    DINFGRID_UNROLL
    for (int axis = Dim - 1; axis > 0; --axis)
      stride_[axis - 1] = stride_[axis] * grid.level[level].nodes[axis];
  }

  /// Offset of the neighbourhood's first node on ghost grids, else of the level's.
  __device__ __forceinline__ Offset first() const {
    Offset offset = 0;
    if constexpr (Path::ghost) {
      DINFGRID_UNROLL
      for (int axis = 0; axis < Dim; ++axis) offset += hood_.cell[axis] * stride_[axis];
    }
    return offset;
  }

  /// What node k of `Axis` adds to first().
  template <int Axis>
  __device__ __forceinline__ Offset along(int k) const {
    if constexpr (Path::ghost) return k * stride_[Axis];
    return hood_.storage(grid_, level_, Axis)(k) * stride_[Axis];
  }

 private:
  /// The fast ghost path is compiled for exactly `Count` channels, which makes offsets along the
  /// last axis constants.
  __device__ __forceinline__ int channels() const { return Path::ghost ? Count : grid_.channels; }

  const Neighborhood<Scalar, Dim, Order, Path>& hood_;
  const Grid<Scalar>& grid_;
  int level_;
  Offset stride_[Dim];
};

template <int Dim, int Count, typename Scalar, typename Offsets>
class FeatureReader {
 public:
  ///   at   feature of the first channel wanted, at offsets.first()
  __device__ __forceinline__ FeatureReader(const Offsets& offsets, const Scalar* at)
      : offsets_(offsets), at_(at) {}

  template <int Axis>
  __device__ __forceinline__ FeatureReader inner(int i) const {
    return {offsets_, at_ + offsets_.template along<Axis>(i)};
  }

  __device__ __forceinline__ Channels<Scalar, Count> value(int k) const {
    return load(at_ + offsets_.template along<Dim - 1>(k), Channels<Scalar, Count>());
  }

 private:
  const Offsets& offsets_;
  const Scalar* at_;
};

/// One point on one level by way of its tables, as gather_kernel wants it.
template <int Dim, int Order, typename Path, int Count, typename Scalar>
class TablePoint {
 public:
  __device__ __forceinline__ TablePoint(const Grid<Scalar>& grid, int level)
      : grid_(grid), level_(level) {}

  ///   x   [Dim]
  __device__ __forceinline__ void locate(const Scalar* x) { hood_.locate(grid_, level_, x); }

  ///   features   the first channel wanted of the level's first node
  ///   jet        [jet_size(Dim, Order)] overwritten
  __device__ __forceinline__ void gather(const Scalar* features,
                                         Channels<Scalar, Count>* jet) const {
    const NodeOffsets<Scalar, Dim, Order, Path, Count> offsets(hood_, grid_, level_);
    const FeatureReader<Dim, Count, Scalar, NodeOffsets<Scalar, Dim, Order, Path, Count>> reader(
        offsets, features + offsets.first());
    contract<Dim, Order>(hood_.nodes, hood_.rows, reader, jet);
  }

 private:
  const Grid<Scalar>& grid_;
  int level_;
  Neighborhood<Scalar, Dim, Order, Path> hood_;
};

/// Adds atomically, to global or shared memory.
template <int Dim, int Count, typename Scalar, typename Offsets>
class FeatureAdder {
 public:
  __device__ __forceinline__ FeatureAdder(const Offsets& offsets, Scalar* at)
      : offsets_(offsets), at_(at) {}

  template <int Axis>
  __device__ __forceinline__ FeatureAdder inner(int i) const {
    return {offsets_, at_ + offsets_.template along<Axis>(i)};
  }

  __device__ __forceinline__ void add(int k, const Channels<Scalar, Count>& value) const {
    add_atomically(at_ + offsets_.template along<Dim - 1>(k), value);
  }

 private:
  const Offsets& offsets_;
  Scalar* at_;
};

}  // namespace cuda
}  // namespace dinfgrid
