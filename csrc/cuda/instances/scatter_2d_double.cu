#include "../scatter_dispatch.cuh"

template int dinfgrid::cuda::scatter_in<2>(const Call<double>&, const double*, double*, void*);
