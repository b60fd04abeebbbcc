#include "findings.h"

#include <cstdarg>
#include <cstdio>
#include <string>

#include "block.h"

namespace on_host {
namespace {

std::string message, kernel;

void record(const char* who, const char* format, va_list arguments) {
  char text[512], where[128];
  std::vsnprintf(text, sizeof text, format, arguments);
  std::snprintf(where, sizeof where, "block (%u, %u, %u)%s", blockIdx.x, blockIdx.y, blockIdx.z,
                who);
  message = std::string(text) + "; " + where + " of " + kernel;
}

}  // namespace

void find(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  record((std::string(", ") + thread_name(block.current)).c_str(), format, arguments);
  va_end(arguments);
  give_up();
}

void note(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  record("", format, arguments);
  va_end(arguments);
}

bool has_finding() { return !message.empty(); }
void forget_findings() { message.clear(); }
void set_kernel_name(const char* name) { kernel = name; }

const char* thread_name(int thread) {
  static char names[4][48];
  static int next = 0;
  char* name = names[next++ % 4];
  const unsigned x = thread % block.size.x, y = thread / block.size.x % block.size.y,
                 z = thread / (block.size.x * block.size.y);
  std::snprintf(name, sizeof names[0], "thread (%u, %u, %u)", x, y, z);
  return name;
}

}  // namespace on_host

/// The first finding of the last launch, or "".
extern "C" const char* on_host_finding() { return on_host::message.c_str(); }
