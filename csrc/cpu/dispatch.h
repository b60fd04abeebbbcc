#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "../contract.h"
#include "../kernels.h"
#include "pack.h"

// From run-time numbers to template arguments.

namespace dinfgrid {
inline namespace DINFGRID_ISA {

template <int Dim, int Order = 0, typename F>
void for_order(int order, F&& f) {
  if constexpr (Order <= max_order(Dim)) {
    if (order == Order) return f(At<Dim>{}, At<Order>{});
    for_order<Dim, Order + 1>(order, f);
  }
}

/// Calls f(At<dim>, At<order>); the caller has checked both.
template <typename F>
void for_dim_and_order(int dim, int order, F&& f) {
  if (dim == 1) return for_order<1>(order, f);
  if (dim == 2) return for_order<2>(order, f);
  if (dim == 3) return for_order<3>(order, f);
  for_order<4>(order, f);
}

/// Splits the channels into groups of 4, 2 and 1; calls f(At<count>, first channel).
template <typename F>
void for_channel_groups(int channels, F&& f) {
  int from = 0;
  for (; from + 4 <= channels; from += 4) f(At<4>{}, from);
  if (from + 2 <= channels) {
    f(At<2>{}, from);
    from += 2;
  }
  if (from < channels) f(At<1>{}, from);
}

/// Uninitialised packs on the heap, aligned.
template <typename P>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : memory_(static_cast<P*>(::operator new(count * sizeof(P), std::align_val_t(alignof(P))))) {}
  P* data() { return memory_.get(); }

 private:
  struct Free {
    void operator()(P* memory) const { ::operator delete(memory, std::align_val_t(alignof(P))); }
  };
  std::unique_ptr<P, Free> memory_;
};

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
