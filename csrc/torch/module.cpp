#include <torch/csrc/utils/pybind.h>

#include "../kernels.h"
#include "../multi_index.h"
#include "build_info.h"
#include "dispatch.h"

PYBIND11_MODULE(_C, module) {
  using pybind11::arg;
  using release = pybind11::call_guard<pybind11::gil_scoped_release>;
  module.doc() = "Raw kernels of dinfgrid_cuda; use dinfgrid_cuda.functional.";
  module.def("gather", &dinfgrid::gather, arg("x"), arg("features"), arg("ints"), arg("floats"),
             arg("order"), arg("concat"), release());
  module.def("scatter", &dinfgrid::scatter, arg("x"), arg("y"), arg("ints"), arg("floats"),
             arg("order"), arg("concat"), release());
  module.def("build_info", &dinfgrid::build_info);
}
