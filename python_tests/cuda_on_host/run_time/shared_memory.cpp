#include "shared_memory.h"

#include <link.h>

#include <cstring>
#include <vector>

#include "findings.h"
#include "shadow.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

// Shared memory is what the kernels' library holds in variables of a thread: the dynamic array,
// which all kernels declare by this name, and the static variables around it.

namespace dinfgrid::cuda {
extern thread_local unsigned char shared_bytes[];
alignas(1024) thread_local unsigned char shared_bytes[on_host::kSharedBytesMost] = {};
}  // namespace dinfgrid::cuda

// Kernels call the array's initialiser, which they cannot know to be absent; g++ 12 does so in
// templates without looking whether it exists.
extern "C" void initialise_shared_bytes() __asm__("_ZTHN8dinfgrid4cuda12shared_bytesE");
void initialise_shared_bytes() {}

namespace on_host {
namespace {

struct Range {
  uintptr_t begin = 0, end = 0;
};

Range all, dynamic;
size_t granted = 0;

/// What happened to one byte since the block began.
struct Cell {
  uint64_t block = 0;
  bool initialised = false;
  bool written_atomically = false;
  Touch write;
  // Two readers that no barrier orders, of different warps if possible: a later writer is one of
  // them at most.
  Touch read[2];
};

std::vector<Cell> cells;

int find_variables(dl_phdr_info* info, size_t, void* own) {
  const uintptr_t wanted = reinterpret_cast<uintptr_t>(own);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(info->dlpi_tls_data);
    const uintptr_t end = begin + info->dlpi_phdr[i].p_memsz;
    if (wanted < begin || wanted >= end) continue;
    all = {begin, end};
    return 1;
  }
  return 0;
}

unsigned offset_of(uintptr_t address) {
  const bool is_dynamic = address >= dynamic.begin && address < dynamic.end;
  return static_cast<unsigned>(address - (is_dynamic ? dynamic.begin : all.begin));
}

const char* kind_of(uintptr_t address) {
  return address >= dynamic.begin && address < dynamic.end ? "dynamic" : "static";
}

const char* verb(Access access) {
  if (access == Access::read) return "reads";
  return access == Access::write ? "writes" : "atomically updates";
}

void conflict(uintptr_t address, Access access, const Touch& other, const char* did) {
  find("race: %s byte %u of %s shared memory, which %s %s since the last barrier", verb(access),
       offset_of(address), kind_of(address), thread_name(other.thread), did);
}

/// Whether a past access is of this block and neither the running thread's own nor ordered.
bool is_unordered(const Touch& touch) { return touch.thread >= 0 && !is_before(touch); }

void remember_read(Cell& cell) {
  Touch* slot = nullptr;
  for (Touch& read : cell.read)
    if (read.thread < 0 || is_before(read)) slot = &read;
  if (slot == nullptr) {
    const int own = block.current / kLanes, first = cell.read[0].thread / kLanes;
    if (own == first || cell.read[1].thread / kLanes != first) return;
    slot = &cell.read[1];
  }
  *slot = touch_now();
}

void check_byte(uintptr_t address, Access access) {
  Cell& cell = cells[address - all.begin];
  if (cell.block != block.serial) {
    cell = Cell();
    cell.block = block.serial;
  }
  const bool reads = access != Access::write;
  if (reads && !cell.initialised)
    find("%s byte %u of %s shared memory, which nobody has written", verb(access),
         offset_of(address), kind_of(address));
  const bool both_atomic = access == Access::atomic && cell.written_atomically;
  if (is_unordered(cell.write) && !both_atomic)
    conflict(address, access, cell.write, cell.written_atomically ? "updated atomically" : "wrote");
  if (access == Access::read) {
    remember_read(cell);
    return;
  }
  for (const Touch& read : cell.read)
    if (is_unordered(read)) conflict(address, access, read, "read");
  cell.initialised = true;
  cell.written_atomically = access == Access::atomic;
  cell.write = touch_now();
}

}  // namespace

void begin_shared_memory(size_t dynamic_bytes) {
  unsigned char* own = dinfgrid::cuda::shared_bytes;
  dl_iterate_phdr(find_variables, own);
  dynamic.begin = reinterpret_cast<uintptr_t>(own);
  dynamic.end = dynamic.begin + kSharedBytesMost;
  granted = dynamic_bytes;
  if (cells.empty()) cells.resize(all.end - all.begin);
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(own + granted, kSharedBytesMost - granted);
#endif
}

void end_shared_memory() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(dinfgrid::cuda::shared_bytes, kSharedBytesMost);
#endif
}

bool is_shared(uintptr_t address) { return address >= all.begin && address < all.end; }

void check_shared(uintptr_t address, size_t bytes, Access access) {
  const uintptr_t end = address + bytes;
  if (end > dynamic.begin + granted && address < dynamic.end && end > dynamic.begin)
    find("%s %zu bytes at byte %u of dynamic shared memory, of which the launch has %zu",
         verb(access), bytes, offset_of(address), granted);
  for (uintptr_t byte = address; byte < end; ++byte) check_byte(byte, access);
}

void spoil_shared_memory() {
  static const uint32_t garbage = 0x7ff5a5a5;  // NaN as a float and as (the upper half of) a double
  const auto spoil = [](uintptr_t begin, uintptr_t end) {
    for (; begin + sizeof garbage <= end; begin += sizeof garbage)
      std::memcpy(reinterpret_cast<void*>(begin), &garbage, sizeof garbage);
  };
  spoil(all.begin, dynamic.begin);
  spoil(dynamic.begin, dynamic.begin + granted);
  spoil(dynamic.end, all.end);
}

}  // namespace on_host
