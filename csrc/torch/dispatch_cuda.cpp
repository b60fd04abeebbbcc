#if defined(DINFGRID_WITH_CUDA)

#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "../kernels.h"
#include "dispatch.h"

namespace dinfgrid {
namespace {

void check(int error) { C10_CUDA_CHECK(static_cast<cudaError_t>(error)); }

/// The kernels in csrc/cuda place every level in the box of the whole grid and overwrite y: with
/// local levels their results would be wrong, so such a grid is refused.
template <typename Scalar>
void refuse_local(const Call<Scalar>& call) {
  TORCH_CHECK_NOT_IMPLEMENTED(!call.grid.local,
                              "dinfgrid_cuda: grids with local levels have no CUDA kernels yet; "
                              "move the grid and the points to the CPU");
}

}  // namespace

template <typename Scalar>
void gather_cuda(const Call<Scalar>& call, const at::Tensor& features, at::Tensor& y) {
  refuse_local(call);
  const c10::cuda::CUDAGuard guard(y.device());
  check(cuda::gather<Scalar>(call, features.const_data_ptr<Scalar>(), y.mutable_data_ptr<Scalar>(),
                             c10::cuda::getCurrentCUDAStream().stream()));
}

/// Under torch.use_deterministic_algorithms(True) points are sorted by tile and each tile has one
/// owner; otherwise atomics add, which is faster for points in no order.
template <typename Scalar>
void scatter_cuda(const Call<Scalar>& call, const at::Tensor& y, at::Tensor& features) {
  refuse_local(call);
  const c10::cuda::CUDAGuard guard(y.device());
  cudaStream_t stream = c10::cuda::getCurrentCUDAStream().stream();
  const Scalar* from = y.const_data_ptr<Scalar>();
  Scalar* to = features.mutable_data_ptr<Scalar>();
  if (!at::globalContext().deterministicAlgorithms()) {
    check(cuda::scatter<Scalar>(call, from, to, stream));
    return;
  }
  if (call.points == 0) return;
  const auto integers = y.options().dtype(at::kLong);
  at::Tensor tile = at::empty({call.grid.levels * call.points}, integers);
  check(cuda::tiles<Scalar>(call, tile.mutable_data_ptr<int64_t>(), stream));
  const auto [sorted, order] = at::sort(tile, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  const at::Tensor point = order.remainder(call.points).contiguous();
  const at::Tensor first =
      at::searchsorted(sorted, at::arange(cuda::tile_count<Scalar>(call.grid) + 1, integers));
  check(cuda::scatter_sorted<Scalar>(call, from, point.const_data_ptr<int64_t>(),
                                     first.const_data_ptr<int64_t>(), to, stream));
}

template void gather_cuda(const Call<float>&, const at::Tensor&, at::Tensor&);
template void gather_cuda(const Call<double>&, const at::Tensor&, at::Tensor&);
template void scatter_cuda(const Call<float>&, const at::Tensor&, at::Tensor&);
template void scatter_cuda(const Call<double>&, const at::Tensor&, at::Tensor&);

}  // namespace dinfgrid

#endif
