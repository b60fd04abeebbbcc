#pragma once

#include "window_moments.h"

// The neighbourhood of one point on one level of a ghost or clamp grid, for normalised Gaussians: a
// window of 2 rho nodes a side that all exist, with one weight a node and axis (see moments.h).
//
// Rows of a window are read two nodes at a time. That needs every row to begin at an even node or
// every row at an odd one, in the same order for all threads; but neighbouring rows of a level with
// an odd number of nodes a side alternate, and points begin anywhere. So a point whose middle row
// begins at an odd node sees axis 0 mirrored: the row after it takes its place, and begins at an
// even one. A mirrored axis changes the sign of the position in the cell and of the derivatives.

namespace dinfgrid {
namespace cuda {

/// What the points of one level share, in registers.
template <int Dim, typename Scalar>
struct WindowLevel {
  Scalar scale[Dim];
  int32_t last_cell[Dim], last_window[Dim];  // windows of clamp grids begin at 0..last_window
  int32_t stride[Dim];                       // nodes from node to node
  int64_t bytes[Dim];                        // the same in bytes
  int32_t parity;                            // added to a row's node indices, tells if it is odd

  ///   node_bytes   of a node's features
  template <int NodeCount>
  __device__ __forceinline__ void read(int node_bytes, const Grid<Scalar>& grid, int level) {
    const Level<Scalar>& own = grid.level[level];
    parity = static_cast<int32_t>(own.first_node) + (Dim - 1) * (NodeCount / 2 - 1) % 2;
    stride[Dim - 1] = 1;
    DINFGRID_UNROLL
    for (int axis = Dim - 1; axis >= 0; --axis) {
      scale[axis] = own.scale[axis];
      last_cell[axis] = own.cells[axis] - 1;
      last_window[axis] = own.nodes[axis] - NodeCount;
      bytes[axis] = static_cast<int64_t>(stride[axis]) * node_bytes;
      if (axis > 0) stride[axis > 0 ? axis - 1 : 0] = stride[axis] * own.nodes[axis];
    }
  }
};

/// One point on one level, as gather_kernel wants it.
template <int Dim, int Order, int NodeCount, int Count, bool Clamp, typename Scalar>
class Window {
 public:
  using Value = Channels<Scalar, Count>;

  __device__ __forceinline__ Window(const Grid<Scalar>& grid, int level) : grid_(grid) {
    level_.template read<NodeCount>(Count * sizeof(Scalar), grid, level);
  }

  ///   x   [Dim] any numbers; NaN gives NaN weights
  __device__ __forceinline__ void locate(const Scalar* x) {
    int32_t node[Dim];
    DINFGRID_UNROLL
    for (int axis = 0; axis < Dim; ++axis) {
      const Scalar t = (x[axis] - grid_.lower[axis]) * level_.scale[axis];
      node[axis] = cell_within(t, level_.last_cell[axis]);
      s_[axis] = t - static_cast<Scalar>(node[axis]) - Scalar(0.5);
      slope_[axis] = grid_.basis.half_slope * level_.scale[axis];
      bytes_[axis] = level_.bytes[axis];
      shift_[axis] = 0;
      if (Clamp && grid_.boundary[axis] == Boundary::clamp) {
        const int32_t wanted = node[axis] - (rho - 1);
        node[axis] = min(max(wanted, 0), level_.last_window[axis]);
        shift_[axis] = node[axis] - wanted;
        s_[axis] -= static_cast<Scalar>(shift_[axis]);
      }
    }
    if constexpr (wide) mirror_odd_row(node);
    first_ = node[Dim - 1];
    DINFGRID_UNROLL
    for (int axis = 0; axis < Dim - 1; ++axis)
      first_ += (node[axis] + (rho - 1)) * level_.stride[axis];
  }

  ///   features   of the level
  ///   jet        [jet_size(Dim, Order)] overwritten
  __device__ __forceinline__ void gather(const Scalar* features, Value* jet) const {
    const Scalar* middle = features + static_cast<int64_t>(first_) * Count;
    Scalar mean[Dim][Order + 1];  // sums at first
    Scalar distance = s_[0] * s_[0];
    DINFGRID_UNROLL
    for (int axis = 1; axis < Dim; ++axis) distance = multiply_add(s_[axis], s_[axis], distance);
    if (distance > grid_.basis.reach) {
      sum_slowly(middle, mean, jet);
    } else {
      WindowAxis<NodeCount, Scalar> axes[Dim];
      for_each_position<Dim>([&](auto at) {
        constexpr int axis = decltype(at)::value;
        axes[axis].weigh(grid_.basis, s_[axis], Clamp ? shift_[axis] : 0);
        axes[axis].template sum<Order>(mean[axis]);
      });
      const WindowReader<Dim, NodeCount, Count, wide, false, Scalar> reader(middle, bytes_);
      gather_moments<Dim, Order, 0>(axes, reader, jet);
    }
    Scalar factor[jet_size(Dim, Order)];  // of polynomials divided by their leading coefficients
    factor[0] = Scalar(1);
    for_each_position<Dim>([&](auto at) {
      constexpr int axis = decltype(at)::value;
      const Scalar inverse = fast_inverse(mean[axis][0]);
      DINFGRID_UNROLL
      for (int m = 1; m <= Order; ++m) mean[axis][m] = mean[axis][m] * inverse;
      apply_polynomials<Dim, Order, axis>(MomentPolynomials<Order, Scalar>(mean[axis]), jet);
      factor[0] = factor[0] * inverse;
    });
    for_each_position<jet_size(Dim, Order)>([&](auto at) {
      constexpr int position = decltype(at)::value;
      if constexpr (position > 0) {
        constexpr int axis = first_axis(position);
        constexpr int power = jet_component(Dim, position, axis);
        constexpr Scalar scale = Scalar(double(moment_scale(power)) / moment_scale(power - 1));
        factor[position] = factor[jet_lowered(Dim, position, axis, 1)] * (scale * slope_[axis]);
      }
      jet[position] = factor[position] * jet[position];
    });
  }

 private:
  static constexpr int rho = NodeCount / 2;
  static constexpr bool wide = Dim > 1;  // one axis has no other that could be mirrored

  /// First axis along which the multi-index at `position` differentiates.
  static __device__ constexpr int first_axis(int position) {
    int axis = 0;
    while (jet_component(Dim, position, axis) == 0) ++axis;
    return axis;
  }

  /// Makes the middle row begin at an even node of the feature array; all strides are odd.
  ///   node   of the window, [Dim]
  __device__ __forceinline__ void mirror_odd_row(int32_t* node) {
    int32_t odd = level_.parity;
    DINFGRID_UNROLL
    for (int axis = 0; axis < Dim; ++axis) odd += node[axis];
    odd &= 1;
    const Scalar sign = odd ? Scalar(-1) : Scalar(1);
    node[0] += odd;  // the row after the middle
    bytes_[0] = odd ? -level_.bytes[0] : level_.bytes[0];
    s_[0] = sign * s_[0];
    slope_[0] = sign * slope_[0];
    if (Clamp) shift_[0] = odd ? -shift_[0] : shift_[0];
  }

  /// Exponent of node k's weight: -epsilon^2 times its squared distance, less what all nodes share.
  __device__ __forceinline__ Scalar exponent_of(int axis, int k) const {
    const Scalar kappa = Scalar(k) - Scalar(rho - 0.5);
    return -grid_.basis.half_slope * kappa * (kappa - Scalar(2) * s_[axis]);
  }

  /// Points far outside the box: one exponential a node and axis, beyond that of the nearest node.
  /// Rolled up, since few points take this way.
  __device__ __forceinline__ void sum_slowly(const Scalar* middle, Scalar (&sums)[Dim][Order + 1],
                                             Value* moments) const {
    Scalar largest[Dim];
    int count = 1;
    DINFGRID_UNROLL
    for (int axis = 0; axis < Dim; ++axis) {
      const Scalar within = floor(s_[axis] + Scalar(rho));
      const Scalar nearest = min(max(within, Scalar(0)), Scalar(NodeCount - 1));
      largest[axis] = exponent_of(axis, static_cast<int>(nearest));
      count *= NodeCount;
      DINFGRID_UNROLL
      for (int m = 0; m <= Order; ++m) sums[axis][m] = Scalar(0);
    }
    constexpr int size = jet_size(Dim, Order);
    DINFGRID_UNROLL
    for (int a = 0; a < size; ++a) moments[a] = Value(Scalar(0));
    DINFGRID_UNROLL_BY(1)
    for (int i = 0; i < count; ++i) {
      const char* at = reinterpret_cast<const char*>(middle);
      Scalar weighted[Dim][Order + 1];  // B_m(kappa) times the weight
      int rest = i, others = count;
      DINFGRID_UNROLL
      for (int axis = 0; axis < Dim; ++axis) {
        others /= NodeCount;
        const int k = rest / others;
        rest -= k * others;
        at += (k - (axis < Dim - 1 ? rho - 1 : 0)) * bytes_[axis];
        const Scalar kappa = Scalar(2 * k - (NodeCount - 1));
        Scalar weight = exponential(exponent_of(axis, k) - largest[axis]);
        if (Clamp && shift_[axis] != 0)
          weight = weight * WindowAxis<NodeCount, Scalar>::copies(k, shift_[axis]);
        for_each_position<Order + 1>([&](auto to) {
          constexpr int m = decltype(to)::value;
          Scalar value = m % 2 == 0 ? weight : weight * kappa;
          for_each_position<m / 2>([&](auto root) {
            constexpr int zero = 2 * decltype(root)::value + 1;
            value = value * (kappa * kappa - Scalar(zero * zero));
          });
          weighted[axis][m] = value * Scalar(1.0 / moment_scale(m));
        });
        if (i == k * others) {  // node 0 of the other axes
          DINFGRID_UNROLL
          for (int m = 0; m <= Order; ++m) sums[axis][m] += weighted[axis][m];
        }
      }
      const Value feature = load(reinterpret_cast<const Scalar*>(at), Value());
      for_each_position<size>([&](auto to) {
        constexpr int position = decltype(to)::value;
        Scalar factor = Scalar(1);
        for_each_position<Dim>([&](auto along) {
          constexpr int axis = decltype(along)::value;
          factor = factor * weighted[axis][jet_component(Dim, position, axis)];
        });
        moments[position] = multiply_add(factor, feature, moments[position]);
      });
    }
  }

  const Grid<Scalar>& grid_;
  WindowLevel<Dim, Scalar> level_;
  Scalar s_[Dim];      // position less the middle of the cell, less the window's shift; [-1/2, 1/2]
  Scalar slope_[Dim];  // d/dx multiplies weights by slope (kappa - ...), kappa in half spacings
  int32_t shift_[Dim];
  int64_t bytes_[Dim];  // from node to node
  int32_t first_;       // node of the level at which the middle row begins
};

}  // namespace cuda
}  // namespace dinfgrid
