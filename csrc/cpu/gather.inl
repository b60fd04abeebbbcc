// Compiled once per instruction set; see gather_portable.cpp and gather_avx2.cpp.

#include "../contract.h"
#include "../kernels.h"
#include "dispatch.h"
#include "inside.h"
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

  /// Numbers of one derivative in a pack's jets. Local levels are added to y one by one.
  int width() const { return call.grid.local ? call.grid.channels : columns_of(call); }

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
    const int column = column_of(call, level) + from;
    const bool first = grid.local || call.concat || level == 0;
    for (int a = 0; a < jet; ++a) {
      P* to = jets + a * width() + column;
      for (int c = 0; c < Count; ++c) to[c] = first ? result[a].c[c] : to[c] + result[a].c[c];
    }
  }

  /// One level of one pack of points, x [Dim][lanes], into jets [jet][width].
  DINFGRID_HD void contract_level(int level, const Scalar (&x)[Dim][P::lanes],
                                  Neighborhood<Scalar, Dim, Order>& hood, P* jets) const {
    hood.locate_points(call.grid, level, x);
    for_channel_groups(call.grid.channels, [&](auto count, int from) {
      contract_channels<decltype(count)::value>(hood, level, from, jets);
    });
  }

  void global_levels(int64_t begin, int64_t end) const {
    const int numbers = jet * width();
    Scratch<P> jets(numbers + P::lanes);
    Neighborhood<Scalar, Dim, Order> hood;
    for (int64_t point = begin; point < end; point += P::lanes) {
      const int valid = end - point < P::lanes ? static_cast<int>(end - point) : P::lanes;
      Scalar x[Dim][P::lanes];
      for (int l = 0; l < P::lanes; ++l)
        for (int axis = 0; axis < Dim; ++axis)
          x[axis][l] = call.x[(point + (l < valid ? l : valid - 1)) * Dim + axis];
      for (int level = 0; level < call.grid.levels; ++level)
        contract_level(level, x, hood, jets.data());
      store(jets.data(), numbers, valid, y + point * numbers);
    }
  }

  /// Adds to a run of at most Run::kMost points.
  void local_levels(int64_t begin, int64_t end) const {
    Run<Scalar, Dim> run(call.grid);
    run.read(call.x + begin * Dim, end - begin);
    std::vector<int32_t> list(run.kMost + P::lanes);
    Scratch<P> jets(jet * width());
    Neighborhood<Scalar, Dim, Order> hood;
    for (int level = 0; level < call.grid.levels; ++level) {
      const int32_t found = run.inside(call.grid.level[level], list.data());
      for (int32_t i = 0; i < found; i += P::lanes) {
        const int valid = found - i < P::lanes ? found - i : P::lanes;
        Scalar x[Dim][P::lanes];
        for (int l = 0; l < P::lanes; ++l)
          for (int axis = 0; axis < Dim; ++axis)
            x[axis][l] = run.x(axis, list[i + (l < valid ? l : valid - 1)]);
        contract_level(level, x, hood, jets.data());
        for (int l = 0; l < valid; ++l) add(jets.data(), l, y + (begin + list[i + l]) * numbers());
      }
    }
  }

  /// Numbers of a point in y.
  int64_t numbers() const { return static_cast<int64_t>(jet) * columns_of(call); }

  /// to[a][c] += lane l of jets[a][c], of the first channels of each derivative.
  void add(const P* jets, int l, Scalar* to) const {
    for (int a = 0; a < jet; ++a, to += columns_of(call))
      for (int c = 0; c < call.grid.channels; ++c) to[c] += (jets++)->v[l];
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
  for_dim_and_order(call.grid.dim, call.order, [&](auto dim, auto order) {
    constexpr int Dim = decltype(dim)::value;
    const GatherTask<Scalar, Dim, decltype(order)::value> task{call, features, y};
    const int64_t chunk = call.grid.local ? Run<Scalar, Dim>::kMost : 512;
    parallel((call.points + chunk - 1) / chunk, [&](int64_t i) {
      const int64_t begin = i * chunk, next = begin + chunk;
      const int64_t end = next < call.points ? next : call.points;
      return call.grid.local ? task.local_levels(begin, end) : task.global_levels(begin, end);
    });
  });
}

}  // namespace DINFGRID_ISA
}  // namespace cpu
}  // namespace dinfgrid
