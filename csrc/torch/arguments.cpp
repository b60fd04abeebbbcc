#include "arguments.h"

#include <cmath>

#include "../multi_index.h"

namespace dinfgrid {

template <typename Scalar>
Grid<Scalar> unpack_grid(const std::vector<int64_t>& ints, const std::vector<double>& floats,
                         int64_t channels) {
  TORCH_CHECK(ints.size() >= 5, "grid: expected packed integers of a GridSpec, got ", ints.size());
  const int64_t dim = ints[0], levels = ints[1], rho = ints[3];
  TORCH_CHECK(dim >= 1 && dim <= kMaxDim, "grid: ", dim, " dimensions; this build holds 1 to ",
              kMaxDim);
  TORCH_CHECK(static_cast<int64_t>(ints.size()) == 5 + 2 * dim &&
                  static_cast<int64_t>(floats.size()) == 1 + 2 * dim,
              "grid: packed sizes ", ints.size(), " and ", floats.size(), " do not fit ", dim,
              " dimensions");
  TORCH_CHECK(levels >= 1 && levels <= kMaxLevels, "grid: ", levels, " levels; possible are 1 to ",
              kMaxLevels);
  TORCH_CHECK(rho >= 1 && rho <= max_rho(dim), "grid: reach rho = ", rho,
              "; this build holds 1 to ", max_rho(dim), " in ", dim, " dimensions");
  TORCH_CHECK(ints[2] >= 0 && ints[2] <= 2, "grid: unknown basis kind ", ints[2]);
  TORCH_CHECK(channels >= 1 && channels <= (1 << 20), "grid: ", channels, " feature channels");

  Grid<Scalar> grid{};
  grid.dim = static_cast<int>(dim);
  grid.levels = static_cast<int>(levels);
  grid.channels = static_cast<int>(channels);
  const double epsilon = floats[0];
  grid.basis = {static_cast<BasisKind>(ints[2]), static_cast<int>(rho), ints[4] != 0,
                static_cast<Scalar>(epsilon), static_cast<Scalar>(std::exp(-2 * epsilon * epsilon))};
  int64_t first_node = 0;
  for (int64_t level = 0; level < levels; ++level) {
    grid.level[level].first_node = first_node;
    int64_t nodes = 1;
    for (int64_t axis = 0; axis < dim; ++axis) {
      const int64_t boundary = ints[5 + axis], finest = ints[5 + dim + axis];
      const double lower = floats[1 + axis], upper = floats[1 + dim + axis];
      TORCH_CHECK(boundary >= 0 && boundary <= 2, "grid: unknown boundary ", boundary);
      TORCH_CHECK(upper > lower && std::isfinite(upper - lower), "grid: axis ", axis,
                  " of the box runs from ", lower, " to ", upper);
      const int64_t cells = finest >> level;
      TORCH_CHECK(cells >= 1 && cells << level == finest && finest < (int64_t(1) << 30),
                  "grid: ", finest, " cells on axis ", axis, " cannot be halved for level ", level);
      grid.boundary[axis] = static_cast<Boundary>(boundary);
      grid.lower[axis] = static_cast<Scalar>(lower);
      Level<Scalar>& own = grid.level[level];
      own.cells[axis] = static_cast<int32_t>(cells);
      own.nodes[axis] = nodes_of(grid.boundary[axis], own.cells[axis], grid.basis.rho);
      own.scale[axis] = static_cast<Scalar>(static_cast<double>(cells) / (upper - lower));
      nodes *= own.nodes[axis];
    }
    first_node += nodes;
  }
  return grid;
}

template <typename Scalar>
int64_t total_nodes(const Grid<Scalar>& grid) {
  const Level<Scalar>& last = grid.level[grid.levels - 1];
  int64_t nodes = 1;
  for (int axis = 0; axis < grid.dim; ++axis) nodes *= last.nodes[axis];
  return last.first_node + nodes;
}

template <typename Scalar>
std::vector<int64_t> jet_shape(const Call<Scalar>& call) {
  const int64_t levels = call.concat ? call.grid.levels : 1;
  return {call.points, jet_size(call.grid.dim, call.order), levels * call.grid.channels};
}

template <typename Scalar>
Call<Scalar> make_call(const Grid<Scalar>& grid, const at::Tensor& x, const at::Tensor& other,
                       int64_t order, bool concat) {
  TORCH_CHECK(x.dim() == 2 && x.size(1) == grid.dim, "x: expected points of shape [N, ", grid.dim,
              "], got ", x.sizes());
  TORCH_CHECK(x.scalar_type() == other.scalar_type(), "x is ", x.scalar_type(),
              " but the other argument is ", other.scalar_type(),
              "; convert one of them, both must be float32 or both float64");
  TORCH_CHECK(x.device() == other.device(), "x is on ", x.device(), " but the other argument is on ",
              other.device(), "; move one of them");
  TORCH_CHECK(order >= 0 && order <= max_order(grid.dim), "order: derivatives of order ", order,
              " were requested, but this build holds orders 0 to ", max_order(grid.dim), " in ",
              grid.dim, " dimensions");
  return {grid, static_cast<int>(order), concat, x.size(0), x.const_data_ptr<Scalar>()};
}

#define DINFGRID_INSTANTIATE(Scalar)                                                           \
  template Grid<Scalar> unpack_grid(const std::vector<int64_t>&, const std::vector<double>&,   \
                                    int64_t);                                                  \
  template int64_t total_nodes(const Grid<Scalar>&);                                           \
  template std::vector<int64_t> jet_shape(const Call<Scalar>&);                                \
  template Call<Scalar> make_call(const Grid<Scalar>&, const at::Tensor&, const at::Tensor&,   \
                                  int64_t, bool);
DINFGRID_INSTANTIATE(float)
DINFGRID_INSTANTIATE(double)
#undef DINFGRID_INSTANTIATE

}  // namespace dinfgrid
