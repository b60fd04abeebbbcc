#include "dispatch.h"

#include <ATen/Parallel.h>

#include <atomic>

#include "../packed_grid.h"
#include "arguments.h"

namespace dinfgrid {
namespace {

/// torch's threads take the next index each, since tiles hold very different numbers of points.
void parallel(int64_t count, const std::function<void(int64_t)>& body) {
  std::atomic<int64_t> next{0};
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), count);
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (int64_t i = next++; i < count; i = next++) body(i);
  });
}

[[noreturn]] void no_kernels(const at::Tensor& x) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "dinfgrid_cuda: no kernels for ", x.scalar_type(), " on ",
                              x.device(),
#if defined(DINFGRID_WITH_CUDA)
                              "; this build has kernels for float32 and float64 on cpu and cuda");
#else
                              "; this build has kernels for float32 and float64 on cpu (rebuild "
                              "with DINFGRID_CUDA=1 for "
                              "CUDA)");
#endif
}

/// Numbers as they stand in memory: contiguous, and without a pending negation.
at::Tensor dense(const at::Tensor& tensor) { return tensor.resolve_neg().contiguous(); }

template <typename Scalar>
void gather_part(const Call<Scalar>& call, const at::Tensor& features, at::Tensor& y) {
  if (features.is_cpu())
    return cpu::gather<Scalar>(call, features.const_data_ptr<Scalar>(),
                               y.mutable_data_ptr<Scalar>(), parallel);
#if defined(DINFGRID_WITH_CUDA)
  if (features.is_cuda()) return gather_cuda<Scalar>(call, features, y);
#endif
  no_kernels(features);
}

template <typename Scalar>
void scatter_part(const Call<Scalar>& call, const at::Tensor& y, at::Tensor& features) {
  if (y.is_cpu())
    return cpu::scatter<Scalar>(call, y.const_data_ptr<Scalar>(),
                                features.mutable_data_ptr<Scalar>(), parallel);
#if defined(DINFGRID_WITH_CUDA)
  if (y.is_cuda()) return scatter_cuda<Scalar>(call, y, features);
#endif
  no_kernels(y);
}

template <typename Scalar>
at::Tensor gather_of(const at::Tensor& x, const at::Tensor& features,
                     const std::vector<int64_t>& ints, const std::vector<double>& floats,
                     int64_t order, bool concat) {
  TORCH_CHECK(features.dim() == 2, "features: expected [total nodes, channels], got ",
              features.sizes());
  const auto parts = checked_grid<Scalar>(ints, floats, features.size(1));
  const int64_t nodes = total_nodes(parts.back());
  TORCH_CHECK(features.size(0) == nodes, "features: the grid has ", nodes, " nodes, got ",
              features.size(0), " rows");
  Call<Scalar> call = make_call(parts.front(), x, features, order, concat);
  at::Tensor y = at::empty(jet_shape(call), features.options());
  for (const Grid<Scalar>& part : parts) {
    call.grid = part;
    gather_part(call, features, y);
  }
  return y;
}

template <typename Scalar>
at::Tensor scatter_of(const at::Tensor& x, const at::Tensor& y, const std::vector<int64_t>& ints,
                      const std::vector<double>& floats, int64_t order, bool concat) {
  TORCH_CHECK(y.dim() == 3, "y: expected [N, derivatives, channels], got ", y.sizes());
  TORCH_CHECK(ints.size() > kPackedLevels && ints[kPackedLevels] >= 1,
              "grid: expected packed integers of a GridSpec");
  const int64_t columns = y.size(2), levels = concat ? ints[kPackedLevels] : 1;
  TORCH_CHECK(columns % levels == 0, "y: ", columns, " columns are no multiple of ", levels,
              " levels");
  const auto parts = checked_grid<Scalar>(ints, floats, columns / levels);
  Call<Scalar> call = make_call(parts.front(), x, y, order, concat);
  TORCH_CHECK(y.sizes() == at::IntArrayRef(jet_shape(call)), "y: expected ",
              at::IntArrayRef(jet_shape(call)), ", got ", y.sizes());
  at::Tensor features = at::zeros({total_nodes(parts.back()), columns / levels}, y.options());
  for (const Grid<Scalar>& part : parts) {
    call.grid = part;
    scatter_part(call, y, features);
  }
  return features;
}

}  // namespace

at::Tensor gather(const at::Tensor& x, const at::Tensor& features, const std::vector<int64_t>& ints,
                  const std::vector<double>& floats, int64_t order, bool concat) {
  const at::Tensor points = dense(x), values = dense(features);
  if (values.scalar_type() == at::kFloat)
    return gather_of<float>(points, values, ints, floats, order, concat);
  if (values.scalar_type() == at::kDouble)
    return gather_of<double>(points, values, ints, floats, order, concat);
  no_kernels(values);
}

at::Tensor scatter(const at::Tensor& x, const at::Tensor& y, const std::vector<int64_t>& ints,
                   const std::vector<double>& floats, int64_t order, bool concat) {
  const at::Tensor points = dense(x), values = dense(y);
  if (values.scalar_type() == at::kFloat)
    return scatter_of<float>(points, values, ints, floats, order, concat);
  if (values.scalar_type() == at::kDouble)
    return scatter_of<double>(points, values, ints, floats, order, concat);
  no_kernels(values);
}

}  // namespace dinfgrid
