#include "../scatter_dispatch.cuh"

template int dinfgrid::cuda::scatter_in<4>(const Call<double>&, const double*, double*, void*);
