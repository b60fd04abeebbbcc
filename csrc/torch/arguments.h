#pragma once

#include <torch/types.h>

#include <vector>

#include "../kernels.h"

// Checks what Python passes and turns it into the kernels' descriptions. The packed form of a grid
// is that of dinfgrid_cuda/spec.py:
//   ints    dim, levels, basis kind, rho, normalize, boundary per axis, cells per axis (finest level)
//   floats  epsilon, lower corner, upper corner

namespace dinfgrid {

template <typename Scalar>
Grid<Scalar> unpack_grid(const std::vector<int64_t>& ints, const std::vector<double>& floats,
                         int64_t channels);

/// Nodes of all levels.
template <typename Scalar>
int64_t total_nodes(const Grid<Scalar>& grid);

/// Numbers per point in y, [J, S C] or [J, C].
template <typename Scalar>
std::vector<int64_t> jet_shape(const Call<Scalar>& call);

/// Checks x [N, dim], the order and the dtype and device of `other`; x must be contiguous by now.
template <typename Scalar>
Call<Scalar> make_call(const Grid<Scalar>& grid, const at::Tensor& x, const at::Tensor& other,
                       int64_t order, bool concat);

}  // namespace dinfgrid
