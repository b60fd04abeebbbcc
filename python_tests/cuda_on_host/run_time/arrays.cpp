#include "arrays.h"

#include <link.h>

#include <string>
#include <vector>

#include "findings.h"
#include "shadow.h"

// Global memory: the arrays that the caller has named, and the constants of the kernels' library.

namespace on_host {
namespace {

/// Who wrote a word in which launch.
struct Cell {
  uint64_t launch = 0;
  bool written_atomically = false;
  Touch write;
};

constexpr size_t kWord = 4;

struct Array {
  std::string name;
  uintptr_t begin, end;
  bool writable;
  std::vector<Cell> cells;  // one per word, where writable
};

struct Range {
  uintptr_t begin = 0, end = 0;
  bool holds(uintptr_t from, size_t bytes) const { return from >= begin && from + bytes <= end; }
};

std::vector<Array> arrays;
Range parameters, library;
uint64_t launch_number = 0;

int find_library(dl_phdr_info* info, size_t, void* own) {
  Range range;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
    const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    if (range.end == 0) range.begin = begin;
    range.end = begin + info->dlpi_phdr[i].p_memsz;
  }
  if (!range.holds(reinterpret_cast<uintptr_t>(own), 1)) return 0;
  library = range;
  return 1;
}

const char* verb(Access access) {
  if (access == Access::read) return "reads";
  return access == Access::write ? "writes" : "atomically updates";
}

void check_word(const Array& array, Cell& cell, uintptr_t address, Access access) {
  const bool written = cell.launch == launch_number;
  const bool both_atomic = access == Access::atomic && cell.written_atomically;
  if (written && !both_atomic && !is_before(cell.write))
    find("race: %s byte %zu of %s, which %s of %s block %s before in this launch", verb(access),
         static_cast<size_t>(address - array.begin), array.name.c_str(),
         thread_name(cell.write.thread), cell.write.block == block.serial ? "this" : "another",
         cell.written_atomically ? "updated atomically" : "wrote");
  if (access != Access::read) cell = {launch_number, access == Access::atomic, touch_now()};
}

}  // namespace

void begin_arrays(const void* from, size_t bytes) {
  static const int anchor = 0;
  if (library.end == 0) dl_iterate_phdr(find_library, const_cast<int*>(&anchor));
  parameters.begin = reinterpret_cast<uintptr_t>(from);
  parameters.end = parameters.begin + bytes;
  ++launch_number;
}

void check_global(uintptr_t address, size_t bytes, Access access) {
  for (Array& array : arrays) {
    if (address < array.begin || address + bytes > array.end) continue;
    if (!array.writable) {
      if (access == Access::read) return;
      find("%s %s, which is an input", verb(access), array.name.c_str());
    }
    const uintptr_t last = (address + bytes - 1 - array.begin) / kWord;
    for (uintptr_t word = (address - array.begin) / kWord; word <= last; ++word)
      check_word(array, array.cells[word], address, access);
    return;
  }
  if (library.holds(address, bytes)) return;
  if (access == Access::read && parameters.holds(address, bytes)) return;
  for (const Array& array : arrays) {
    constexpr uintptr_t near = 1 << 20;
    if (address + near < array.begin || address > array.end + near) continue;
    find("%s %zu bytes at byte %lld of %s, which has %zu", verb(access), bytes,
         static_cast<long long>(address - array.begin), array.name.c_str(),
         static_cast<size_t>(array.end - array.begin));
  }
  find("%s %zu bytes at address %p, which is in no array", verb(access), bytes,
       reinterpret_cast<void*>(address));
}

}  // namespace on_host

/// Names an array that kernels may read and, if `writable`, write, until on_host_forget_arrays().
extern "C" void on_host_array(const char* name, const void* data, size_t bytes, int writable) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  on_host::arrays.push_back({name, begin, begin + bytes, writable != 0, {}});
  if (writable) on_host::arrays.back().cells.resize((bytes + on_host::kWord - 1) / on_host::kWord);
}

extern "C" void on_host_forget_arrays() { on_host::arrays.clear(); }
