#include "arguments.h"

#include <cmath>

#include "../multi_index.h"
#include "../packed_grid.h"

namespace dinfgrid {

namespace {

/// Numbers that can be read at all: as many as the first of them say.
void check_sizes(const std::vector<int64_t>& ints, const std::vector<double>& floats) {
  const PackedGrid packed{ints.data(), floats.data()};
  TORCH_CHECK(static_cast<int64_t>(ints.size()) >= PackedGrid::int_count(0, 0),
              "grid: expected packed integers of a GridSpec, got ", ints.size());
  const int64_t dim = packed.dim(), local = packed.local();
  TORCH_CHECK(dim >= 1 && dim <= kMaxDim, "grid: ", dim, " dimensions; this build holds 1 to ",
              kMaxDim);
  TORCH_CHECK(local >= 0 && local <= kMostLocal, "grid: ", local,
              " local levels; possible are 0 to ", kMostLocal);
  TORCH_CHECK(static_cast<int64_t>(ints.size()) == PackedGrid::int_count(dim, local) &&
                  static_cast<int64_t>(floats.size()) == PackedGrid::float_count(dim),
              "grid: packed sizes ", ints.size(), " and ", floats.size(), " do not fit ", dim,
              " dimensions and ", local, " local levels");
}

/// One axis of the global levels; returns about how many nodes it has.
double checked_axis(const PackedGrid& packed, int64_t axis) {
  const int64_t boundary = packed.boundary(axis), cells = packed.cells(axis);
  const int64_t levels = packed.levels();
  const double lower = packed.lower(axis), upper = packed.upper(axis);
  TORCH_CHECK(boundary >= 0 && boundary <= 2, "grid: unknown boundary ", boundary);
  TORCH_CHECK(upper > lower && std::isfinite(upper - lower), "grid: axis ", axis,
              " of the box runs from ", lower, " to ", upper);
  TORCH_CHECK(cells >= 1 && cells <= kMostCells && cells % (int64_t(1) << (levels - 1)) == 0,
              "grid: ", cells, " cells on axis ", axis, " cannot be halved for ", levels,
              " levels");
  return static_cast<double>(cells + 2 * packed.rho());
}

/// One axis of a local level; returns about how many nodes it has.
double checked_local_axis(const PackedGrid& packed, int64_t own, int64_t axis) {
  const int64_t start = packed.start(own, axis), cells = packed.own_cells(own, axis);
  const int64_t halvings = packed.halvings(own, axis);
  TORCH_CHECK(packed.boundary(axis) != static_cast<int>(Boundary::clamp),
              "grid: local levels do not exist with boundary clamp, as on axis ", axis);
  TORCH_CHECK(
      halvings >= 0 && halvings <= kMostHalvings && packed.cells(axis) <= kMostPlaces >> halvings,
      "grid: local level ", own, " halves ", packed.cells(axis), " cells on axis ", axis, " ",
      halvings, " times; possible are 0 to ", kMostHalvings, " times and 2^52 cells");
  TORCH_CHECK(
      cells >= 1 && cells <= kMostCells && start >= 0 && start <= packed.places(own, axis) - cells,
      "grid: local level ", own, " has ", cells, " cells from cell ", start, " on axis ", axis,
      ", of ", packed.places(own, axis), " of that size");
  return static_cast<double>(cells + 2 * packed.rho());
}

}  // namespace

template <typename Scalar>
std::vector<Grid<Scalar>> checked_grid(const std::vector<int64_t>& ints,
                                       const std::vector<double>& floats, int64_t channels) {
  check_sizes(ints, floats);
  const PackedGrid packed{ints.data(), floats.data()};
  const int64_t dim = packed.dim(), levels = packed.levels(), rho = packed.rho();
  TORCH_CHECK(levels >= 1 && levels <= kMaxLevels, "grid: ", levels, " levels; possible are 1 to ",
              kMaxLevels);
  TORCH_CHECK(rho >= 1 && rho <= max_rho(dim), "grid: reach rho = ", rho,
              "; this build holds 1 to ", max_rho(dim), " in ", dim, " dimensions");
  TORCH_CHECK(packed.basis() >= 0 && packed.basis() <= 2, "grid: unknown basis kind ",
              packed.basis());
  TORCH_CHECK(packed.local() == 0 || packed.basis() != static_cast<int>(BasisKind::gaussian),
              "grid: local levels need B-splines or Gaussians with a smooth window");
  TORCH_CHECK(channels >= 1 && channels <= (1 << 20), "grid: ", channels, " feature channels");

  double nodes = 1;
  for (int64_t axis = 0; axis < dim; ++axis) nodes *= checked_axis(packed, axis);
  for (int64_t own = 0; own < packed.local(); ++own) {
    double more = 1;
    for (int64_t axis = 0; axis < dim; ++axis) more *= checked_local_axis(packed, own, axis);
    nodes += more;
  }
  const double numbers = nodes * static_cast<double>(channels);
  TORCH_CHECK(numbers < 0x1p60, "grid: about ", numbers, " features are too many to index");
  std::vector<Grid<Scalar>> parts;
  for (int part = 0; part < packed.parts(); ++part)
    parts.push_back(
        unpack_grid<Scalar>(ints.data(), floats.data(), static_cast<int>(channels), part));
  return parts;
}

template <typename Scalar>
std::vector<int64_t> jet_shape(const Call<Scalar>& call) {
  return {call.points, jet_size(call.grid.dim, call.order), columns_of(call)};
}

template <typename Scalar>
Call<Scalar> make_call(const Grid<Scalar>& grid, const at::Tensor& x, const at::Tensor& other,
                       int64_t order, bool concat) {
  TORCH_CHECK(x.dim() == 2 && x.size(1) == grid.dim, "x: expected points of shape [N, ", grid.dim,
              "], got ", x.sizes());
  TORCH_CHECK(x.scalar_type() == other.scalar_type(), "x is ", x.scalar_type(),
              " but the other argument is ", other.scalar_type(),
              "; convert one of them, both must be float32 or both float64");
  TORCH_CHECK(x.device() == other.device(), "x is on ", x.device(),
              " but the other argument is on ", other.device(), "; move one of them");
  TORCH_CHECK(order >= 0 && order <= max_order(grid.dim), "order: derivatives of order ", order,
              " were requested, but this build holds orders 0 to ", max_order(grid.dim), " in ",
              grid.dim, " dimensions");
  return {grid, static_cast<int>(order), concat, x.size(0), x.const_data_ptr<Scalar>()};
}

#define DINFGRID_INSTANTIATE(Scalar)                                                         \
  template std::vector<Grid<Scalar>> checked_grid(const std::vector<int64_t>&,               \
                                                  const std::vector<double>&, int64_t);      \
  template std::vector<int64_t> jet_shape(const Call<Scalar>&);                              \
  template Call<Scalar> make_call(const Grid<Scalar>&, const at::Tensor&, const at::Tensor&, \
                                  int64_t, bool);
DINFGRID_INSTANTIATE(float)
DINFGRID_INSTANTIATE(double)
#undef DINFGRID_INSTANTIATE

}  // namespace dinfgrid
