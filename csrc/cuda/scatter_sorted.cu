#include "scatter_sorted_dispatch.cuh"

namespace dinfgrid {
namespace cuda {

template <typename Scalar>
int scatter_sorted(const Call<Scalar>& call, const Scalar* y, const int64_t* point,
                   const int64_t* first, Scalar* features, void* stream) {
  switch (call.grid.dim) {
    case 1:
      return scatter_sorted_in<1>(call, y, point, first, features, stream);
    case 2:
      return scatter_sorted_in<2>(call, y, point, first, features, stream);
    case 3:
      return scatter_sorted_in<3>(call, y, point, first, features, stream);
    default:
      return scatter_sorted_in<4>(call, y, point, first, features, stream);
  }
}

template int scatter_sorted(const Call<float>&, const float*, const int64_t*, const int64_t*,
                            float*, void*);
template int scatter_sorted(const Call<double>&, const double*, const int64_t*, const int64_t*,
                            double*, void*);

}  // namespace cuda
}  // namespace dinfgrid
