#include "../scatter_dispatch.cuh"

template int dinfgrid::cuda::scatter_in<1>(const Call<double>&, const double*, double*, void*);
