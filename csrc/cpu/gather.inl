// Compiled once per instruction set; see gather_portable.cpp and gather_avx2.cpp.

#include "../contract.h"
#include "../kernels.h"
#include "dispatch.h"
#include "rows.h"

namespace dinfgrid {
inline namespace DINFGRID_ISA {

template <typename Scalar, int Dim, int Order>
struct GatherTask {
  using P = Pack<Scalar>;
  static constexpr int jet = jet_size(Dim, Order);

  const Call<Scalar>& call;
  const Scalar* features;
  Scalar* y;

  int width() const {
    return call.concat ? call.grid.levels * call.grid.channels : call.grid.channels;
  }

  /// One level of one pack of points, channels from..from+Count-1, into jets [jet][width].
  template <int Count>
  void contract_channels(const Neighborhood<Scalar, Dim, Order>& hood, int level, int from,
                         P* jets) const {
    using Value = Channels<P, Count>;
    const Grid<Scalar>& grid = call.grid;
    const Patch<Scalar, Dim, Order, Count> patch{hood, grid.channels};
    const RowReader<Scalar, Dim, Order, Count> reader(
        patch, features + grid.level[level].first_node * grid.channels + from,
        features + total_nodes(grid) * grid.channels);
    Value result[jet];
    contract<Dim, Order>(hood.nodes, hood.rows, reader, result);
    const int column = (call.concat ? level * grid.channels : 0) + from;
    const bool first = call.concat || level == 0;
    for (int a = 0; a < jet; ++a) {
      P* to = jets + a * width() + column;
      for (int c = 0; c < Count; ++c) to[c] = first ? result[a].c[c] : to[c] + result[a].c[c];
    }
  }

  void operator()(int64_t begin, int64_t end) const {
    const int numbers = jet * width();
    Scratch<P> jets(numbers + P::lanes);
    Neighborhood<Scalar, Dim, Order> hood;
    for (int64_t point = begin; point < end; point += P::lanes) {
      const int valid = end - point < P::lanes ? static_cast<int>(end - point) : P::lanes;
      Scalar x[Dim][P::lanes];
      for (int l = 0; l < P::lanes; ++l)
        for (int axis = 0; axis < Dim; ++axis)
          x[axis][l] = call.x[(point + (l < valid ? l : valid - 1)) * Dim + axis];
      for (int level = 0; level < call.grid.levels; ++level) {
        hood.locate_points(call.grid, level, x);
        for_channel_groups(call.grid.channels, [&](auto count, int from) {
          contract_channels<decltype(count)::value>(hood, level, from, jets.data());
        });
      }
      store(jets.data(), numbers, valid, y + point * numbers);
    }
  }

  /// to[l][j] = lane l of jets[j].
  static void store(const P* jets, int numbers, int valid, Scalar* to) {
    for (int j = 0; j < numbers; j += P::lanes) {
      P square[P::lanes];
      for (int l = 0; l < P::lanes; ++l) square[l] = jets[j + l];
      transpose(square);
      const int left = numbers - j;
      for (int l = 0; l < valid; ++l) {
        Scalar* at = to + l * static_cast<int64_t>(numbers) + j;
        if (left >= P::lanes) {
          square[l].store(at);
        } else {
          Scalar part[P::lanes];
          square[l].store(part);
          for (int i = 0; i < left; ++i) at[i] = part[i];
        }
      }
    }
  }
};

}  // namespace DINFGRID_ISA

namespace cpu {
namespace DINFGRID_ISA {

template <typename Scalar>
void gather(const Call<Scalar>& call, const Scalar* features, Scalar* y, const Parallel& parallel) {
  constexpr int64_t chunk = 512;
  const int64_t count = (call.points + chunk - 1) / chunk;
  for_dim_and_order(call.grid.dim, call.order, [&](auto dim, auto order) {
    const GatherTask<Scalar, decltype(dim)::value, decltype(order)::value> task{call, features, y};
    parallel(count, [&](int64_t i) {
      const int64_t end = (i + 1) * chunk;
      task(i * chunk, end < call.points ? end : call.points);
    });
  });
}

}  // namespace DINFGRID_ISA
}  // namespace cpu
}  // namespace dinfgrid
