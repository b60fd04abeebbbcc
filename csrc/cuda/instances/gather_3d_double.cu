#include "../gather_dispatch.cuh"

template int dinfgrid::cuda::gather_in<3>(const Call<double>&, const double*, double*, void*);
