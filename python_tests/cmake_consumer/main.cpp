// A linear function on a 1-D grid of linear B-splines, read back by the installed library.

#include <kernels.h>
#include <packed_grid.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

int main() {
  constexpr int cells = 8, bspline = 2, ghost = 0;
  constexpr double lower = -1, upper = 3, slope = 2;
  const std::int64_t ints[] = {1, 1, bspline, 1, 0, 0, ghost, cells};  // see packed_grid.h
  const double floats[] = {0, lower, upper};
  const auto grid = dinfgrid::unpack_grid<double>(ints, floats, 1);

  const auto linear = [=](double x) { return slope * x - 0.5; };
  std::vector<double> features(dinfgrid::total_nodes(grid));
  for (std::size_t i = 0; i < features.size(); ++i) {
    features[i] = linear(lower + (upper - lower) / cells * static_cast<double>(i));
  }

  const std::vector<double> x = {-1, -0.3, 0.5, 1.77, 3};
  std::vector<double> y(2 * x.size());  // value and derivative of each point
  const dinfgrid::Call<double> call{grid, 1, true, static_cast<std::int64_t>(x.size()), x.data()};
  const dinfgrid::cpu::Parallel serially = [](std::int64_t count, const auto& body) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
  };
  dinfgrid::cpu::gather(call, features.data(), y.data(), serially);

  bool good = features.size() == cells + 1;
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::printf("u(%g) = %.15g, u' = %.15g\n", x[i], y[2 * i], y[2 * i + 1]);
    good = good && std::fabs(y[2 * i] - linear(x[i])) < 1e-13;
    good = good && std::fabs(y[2 * i + 1] - slope) < 1e-13;
  }
  std::printf("%s kernels: %s\n", dinfgrid::cpu::instruction_set(), good ? "correct" : "wrong");
  return good ? 0 : 1;
}
