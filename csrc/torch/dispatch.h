#pragma once

#include <torch/types.h>

#include <vector>

namespace dinfgrid {

/// y = gather(x, features): [N, J, S C] or, summed over levels, [N, J, C].
///   x          [N, dim], the grid's units
///   features   [total nodes, C]
at::Tensor gather(const at::Tensor& x, const at::Tensor& features, const std::vector<int64_t>& ints,
                  const std::vector<double>& floats, int64_t order, bool concat);

/// The transpose: features [total nodes, C] from x [N, dim] and y as gather returns it.
at::Tensor scatter(const at::Tensor& x, const at::Tensor& y, const std::vector<int64_t>& ints,
                   const std::vector<double>& floats, int64_t order, bool concat);

#if defined(DINFGRID_WITH_CUDA)
template <typename Scalar>
struct Call;
/// On x's device and its current stream.
template <typename Scalar>
void gather_cuda(const Call<Scalar>& call, const at::Tensor& features, at::Tensor& y);
template <typename Scalar>
void scatter_cuda(const Call<Scalar>& call, const at::Tensor& y, at::Tensor& features);
#endif

}  // namespace dinfgrid
