#pragma once

#include "basis.h"
#include "multi_index.h"

// The walk over a neighbourhood, once for all kernels. Both directions work axis by axis (sum
// factorisation), so that a node costs Order + 1 multiplications instead of one per derivative.
//
//   Nodes    FixedNodes or AnyNodes, the number of nodes per axis
//   T        number type of the weights
//   V        number type of the features: T, or a short vector of channels of T
//   Reader   `reader.inner<Axis>(i)` steps to slice i of the neighbourhood along Axis;
//            `reader.value(k)` is the feature at node k of the last axis, a V
//   Writer   the same with `writer.add(k, value)`

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// Whether the loop over the nodes of an axis is unrolled: only while the code stays small, on the
/// device two axes together, beyond which it would run out of registers.
template <int Dim, int Axis, typename Nodes>
DINFGRID_HD constexpr int unroll_factor() {
#if defined(__CUDA_ARCH__)
  constexpr int limit = Dim - Axis > 2 ? 1 : 64;
#else
  constexpr int limit = 216;
#endif
  if (Nodes::capacity == kMaxNodes) return 1;
  int nodes = 1;
  for (int axis = Axis; axis < Dim; ++axis) nodes *= Nodes::capacity;
  return nodes <= limit ? Nodes::capacity : 1;
}

/// The weights of one axis, node after node.
template <int Order, typename Nodes, typename T, bool Shifts>
class Columns {
 public:
  DINFGRID_HD explicit Columns(const Rows<T, Order, Nodes>& rows) : rows_(rows) {}
  DINFGRID_HD T weight(int m, int i) const { return rows_[m][i]; }
  DINFGRID_HD void next() {}

 private:
  const Rows<T, Order, Nodes>& rows_;
};

/// Registers have no index, so that a loop on the device that is not unrolled shifts them.
template <int Order, typename Nodes, typename T>
class Columns<Order, Nodes, T, true> {
 public:
  DINFGRID_HD explicit Columns(const Rows<T, Order, Nodes>& rows) {
    DINFGRID_UNROLL
    for (int m = 0; m <= Order; ++m) {
      DINFGRID_UNROLL
      for (int k = 0; k < Nodes::capacity; ++k) rows_[m][k] = rows[m][k];
    }
  }

  DINFGRID_HD T weight(int m, int) const { return rows_[m][0]; }

  DINFGRID_HD void next() {
    DINFGRID_UNROLL
    for (int m = 0; m <= Order; ++m) {
      DINFGRID_UNROLL
      for (int k = 1; k < Nodes::capacity; ++k) rows_[m][k - 1] = rows_[m][k];
    }
  }

 private:
  Rows<T, Order, Nodes> rows_;
};

/// The columns of Axis, as the loop over its nodes needs them.
template <int Dim, int Order, int Axis, typename Nodes, typename T>
DINFGRID_HD auto columns_of(const Rows<T, Order, Nodes>& rows) {
#if defined(__CUDA_ARCH__)
  constexpr bool shifts = Nodes::capacity < kMaxNodes && unroll_factor<Dim, Axis, Nodes>() == 1;
#else
  constexpr bool shifts = false;
#endif
  return Columns<Order, Nodes, T, shifts>(rows);
}

/// y[alpha] = sum_i D^alpha w_i F_i over the axes Axis..Dim-1, |alpha| <= Order.
///   rows   [Dim] tables
///   y      [jet_size(Dim - Axis, Order)], overwritten
template <int Dim, int Order, int Axis = 0, typename Nodes, typename T, typename V, typename Reader>
DINFGRID_HD void contract(Nodes nodes, const Rows<T, Order, Nodes> (&rows)[Dim],
                          const Reader& reader, V* y) {
  constexpr int size = jet_size(Dim - Axis, Order);
  DINFGRID_UNROLL
  for (int a = 0; a < size; ++a) y[a] = V(0);
  [[maybe_unused]] constexpr int unroll = unroll_factor<Dim, Axis, Nodes>();
  auto columns = columns_of<Dim, Order, Axis, Nodes>(rows[Axis]);
  DINFGRID_UNROLL_BY(unroll)
  for (int i = 0; i < nodes; ++i, columns.next()) {
    if constexpr (Axis == Dim - 1) {
      const V feature = reader.value(i);
      DINFGRID_UNROLL
      for (int m = 0; m <= Order; ++m) y[m] = y[m] + columns.weight(m, i) * feature;
    } else {
      V inner[jet_size(Dim - Axis - 1, Order)];
      contract<Dim, Order, Axis + 1>(nodes, rows, reader.template inner<Axis>(i), inner);
      for_each_position<size>([&](auto at) {
        constexpr int first = jet_first(Dim - Axis, decltype(at)::value);
        constexpr int rest = jet_rest(Dim - Axis, decltype(at)::value);
        y[decltype(at)::value] = y[decltype(at)::value] + columns.weight(first, i) * inner[rest];
      });
    }
  }
}

/// The transpose: adds sum_alpha D^alpha w_i g[alpha] to every node i.
///   g      [jet_size(Dim - Axis, Order)]
template <int Dim, int Order, int Axis = 0, typename Nodes, typename T, typename V, typename Writer>
DINFGRID_HD void expand(Nodes nodes, const Rows<T, Order, Nodes> (&rows)[Dim], const V* g,
                        const Writer& writer) {
  [[maybe_unused]] constexpr int unroll = unroll_factor<Dim, Axis, Nodes>();
  auto columns = columns_of<Dim, Order, Axis, Nodes>(rows[Axis]);
  DINFGRID_UNROLL_BY(unroll)
  for (int i = 0; i < nodes; ++i, columns.next()) {
    if constexpr (Axis == Dim - 1) {
      V sum = columns.weight(0, i) * g[0];
      DINFGRID_UNROLL
      for (int m = 1; m <= Order; ++m) sum = sum + columns.weight(m, i) * g[m];
      writer.add(i, sum);
    } else {
      V inner[jet_size(Dim - Axis - 1, Order)];
      DINFGRID_UNROLL
      for (int b = 0; b < jet_size(Dim - Axis - 1, Order); ++b) inner[b] = V(0);
      for_each_position<jet_size(Dim - Axis, Order)>([&](auto at) {
        constexpr int first = jet_first(Dim - Axis, decltype(at)::value);
        constexpr int rest = jet_rest(Dim - Axis, decltype(at)::value);
        inner[rest] = inner[rest] + columns.weight(first, i) * g[decltype(at)::value];
      });
      expand<Dim, Order, Axis + 1>(nodes, rows, inner, writer.template inner<Axis>(i));
    }
  }
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
