#pragma once

#include "../kernels.h"
#include "../moments.h"
#include "arithmetic.h"
#include "channels.h"

// Weights of a window (window.h), and the moments of its features under them.

namespace dinfgrid {
namespace cuda {

/// Weights of one axis of a window, up to a common factor.
template <int NodeCount, typename Scalar>
struct WindowAxis {
  static constexpr int rho = NodeCount / 2;
  Scalar weight[NodeCount];

  /// From the two nodes of the cell outwards, psi_{k+1}/psi_k = e^{2 epsilon^2 s} times a constant
  /// (see inner_gaussian).
  ///   s       position less the middle of the cell, less the window's shift
  ///   shift   nodes by which the window is moved into a clamp grid, away from its end
  __device__ __forceinline__ void weigh(const Basis<Scalar>& basis, Scalar s, int shift) {
    const Scalar exponent = basis.slope * s;
    const Scalar up = fast_exponential(exponent);
    Scalar step_up = up, step_down = fast_exponential(-exponent);
    weight[rho - 1] = Scalar(1);
    weight[rho] = up;
    DINFGRID_UNROLL
    for (int j = 1; j < rho; ++j) {
      step_up = step_up * basis.decay;
      step_down = step_down * basis.decay;
      weight[rho + j] = weight[rho + j - 1] * step_up;
      weight[rho - 1 - j] = weight[rho - j] * step_down;
    }
    if (shift == 0) return;
    DINFGRID_UNROLL
    for (int k = 0; k < NodeCount; ++k) weight[k] = weight[k] * copies(k, shift);
  }

  /// How often node k counts where clamping moves others to the last one that exists.
  ///   shift   > 0 at the lower end, < 0 at the upper one
  static __device__ __forceinline__ Scalar copies(int k, int shift) {
    const int from_end = shift > 0 ? k : NodeCount - 1 - k;
    const int moved = shift > 0 ? shift : -shift;
    return from_end == 0 ? Scalar(1 + moved) : Scalar(from_end < NodeCount - moved);
  }

  /// Sums of B_m over the weights, m = 0..Order.
  template <int Order>
  __device__ __forceinline__ void sum(Scalar* sums) const {
    const auto moment = [&](auto m) -> Scalar& { return sums[decltype(m)::value]; };
    clear_moments<Order, NodeCount, Scalar>(moment);
    for_each_position<rho>([&](auto pair) {
      constexpr int j = decltype(pair)::value;
      add_pair<Order, 2 * j + 1>(Scalar(1), Scalar(1), weight[rho - 1 - j], weight[rho + j],
                                 moment);
    });
  }
};

/// Rows of features of a window, walked from its middle outwards.
///   Odd   whether the row begins at an odd node; `Wide` tells that this is known
template <int Dim, int NodeCount, int Count, bool Wide, bool Odd, typename Scalar>
class WindowReader {
 public:
  using Value = Channels<Scalar, Count>;
  using Neighbor = WindowReader<Dim, NodeCount, Count, Wide, !Odd, Scalar>;

  ///   at       a row's first node
  ///   stride   bytes from node to node, [Dim - 1] axes
  __device__ __forceinline__ WindowReader(const Scalar* at, const int64_t* stride)
      : at_(at), stride_(stride) {}

  template <int Axis>
  __device__ __forceinline__ Neighbor next() const {
    return Neighbor(moved(stride_[Axis]), stride_);
  }

  template <int Axis>
  __device__ __forceinline__ Neighbor previous() const {
    return Neighbor(moved(-stride_[Axis]), stride_);
  }

  __device__ __forceinline__ void row(Value* values) const {
    constexpr int single = Wide ? Odd : NodeCount;
    DINFGRID_UNROLL
    for (int k = 0; k < single; ++k) values[k] = load(at_ + k * Count, Value());
    DINFGRID_UNROLL
    for (int k = single; k + 1 < NodeCount; k += 2) load_two(at_ + k * Count, values + k);
    if constexpr (Wide && Odd) values[NodeCount - 1] = load(at_ + (NodeCount - 1) * Count, Value());
  }

 private:
  __device__ __forceinline__ const Scalar* moved(int64_t bytes) const {
    return reinterpret_cast<const Scalar*>(reinterpret_cast<const char*>(at_) + bytes);
  }

  const Scalar* at_;
  const int64_t* stride_;
};

/// Adds the pair `j` of slices along Axis, and then the pairs outside it, to the moments.
///   lower, upper   readers at the two slices
template <int Dim, int Order, int Axis, int J, int NodeCount, typename Scalar, typename Lower,
          typename Upper, typename Value>
__device__ __forceinline__ void gather_pairs(const WindowAxis<NodeCount, Scalar> (&axes)[Dim],
                                             const Lower& lower, const Upper& upper,
                                             Value* moments);

/// Moments of the features over the axes Axis..Dim-1.
///   reader    at the middle, node rho - 1 of the axes before the last
///   moments   [jet_size(Dim - Axis, Order)] overwritten
template <int Dim, int Order, int Axis, int NodeCount, typename Scalar, typename Reader,
          typename Value>
__device__ __forceinline__ void gather_moments(const WindowAxis<NodeCount, Scalar> (&axes)[Dim],
                                               const Reader& reader, Value* moments) {
  if constexpr (Axis < Dim - 1) {
    gather_pairs<Dim, Order, Axis, 0>(axes, reader, reader.template next<Axis>(), moments);
  } else {
    constexpr int rho = NodeCount / 2;
    Value row[NodeCount];
    reader.row(row);
    const auto moment = [&](auto m) -> Value& { return moments[decltype(m)::value]; };
    clear_moments<Order, NodeCount, Value>(moment);
    for_each_position<rho>([&](auto pair) {
      constexpr int j = decltype(pair)::value;
      add_pair<Order, 2 * j + 1>(axes[Axis].weight[rho - 1 - j], axes[Axis].weight[rho + j],
                                 row[rho - 1 - j], row[rho + j], moment);
    });
  }
}

template <int Dim, int Order, int Axis, int J, int NodeCount, typename Scalar, typename Lower,
          typename Upper, typename Value>
__device__ __forceinline__ void gather_pairs(const WindowAxis<NodeCount, Scalar> (&axes)[Dim],
                                             const Lower& lower, const Upper& upper,
                                             Value* moments) {
  constexpr int rho = NodeCount / 2, size = jet_size(Dim - Axis - 1, Order);
  Value f[size], g[size];
  gather_moments<Dim, Order, Axis + 1>(axes, lower, f);
  gather_moments<Dim, Order, Axis + 1>(axes, upper, g);
  for_each_position<size>([&](auto rest) {
    constexpr int r = decltype(rest)::value;
    constexpr int left = Order - jet_order(Dim - Axis - 1, r);
    const auto moment = [&](auto m) -> Value& {
      return moments[At<jet_position(Dim - Axis, decltype(m)::value, r)>::value];
    };
    if constexpr (J == 0) clear_moments<left, NodeCount, Value>(moment);
    add_pair<left, 2 * J + 1>(axes[Axis].weight[rho - 1 - J], axes[Axis].weight[rho + J], f[r],
                              g[r], moment);
  });
  if constexpr (J + 1 < rho)
    gather_pairs<Dim, Order, Axis, J + 1>(axes, lower.template previous<Axis>(),
                                          upper.template next<Axis>(), moments);
}

}  // namespace cuda
}  // namespace dinfgrid
