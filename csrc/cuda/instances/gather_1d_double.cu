#include "../gather_dispatch.cuh"

template int dinfgrid::cuda::gather_in<1>(const Call<double>&, const double*, double*, void*);
