#pragma once

#include <pybind11/pybind11.h>

namespace dinfgrid {

/// What the compiler and the processor tell: "torch" the version of the headers, "cuda" the runtime
/// version as CUDART_VERSION (13000) or None, "compiler", "cpp_standard" as __cplusplus (202002),
/// "cpu_instruction_set" in use, "cpu_features" those of this processor that matter here.
pybind11::dict build_info();

}  // namespace dinfgrid
