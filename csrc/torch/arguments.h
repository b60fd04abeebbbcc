#pragma once

#include <torch/types.h>

#include <vector>

#include "../kernels.h"

// Checks what Python passes and turns it into the kernels' descriptions (see packed_grid.h).

namespace dinfgrid {

/// The parts of the grid (see Grid), the global levels first.
template <typename Scalar>
std::vector<Grid<Scalar>> checked_grid(const std::vector<int64_t>& ints,
                                       const std::vector<double>& floats, int64_t channels);

/// Numbers per point in y, [J, S C] or [J, C].
template <typename Scalar>
std::vector<int64_t> jet_shape(const Call<Scalar>& call);

/// Checks x [N, dim], the order and the dtype and device of `other`; x must be contiguous by now.
template <typename Scalar>
Call<Scalar> make_call(const Grid<Scalar>& grid, const at::Tensor& x, const at::Tensor& other,
                       int64_t order, bool concat);

}  // namespace dinfgrid
