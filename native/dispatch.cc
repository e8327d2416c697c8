#include "dispatch.h"

#include <atomic>

#if defined(__linux__)
#include <malloc.h>
#endif

namespace privity {
namespace {

std::vector<const Kernels*> probe() {
  std::vector<const Kernels*> found;
#ifdef PRIVITY_X86
  __builtin_cpu_init();  // also asks whether the operating system saves the wide registers
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    found.push_back(&kAvx512);
  }
  if (__builtin_cpu_supports("avx2")) found.push_back(&kAvx2);
#endif
  found.push_back(&kBaseline);
  return found;
}

std::atomic<const Kernels*>& chosen() {
  static std::atomic<const Kernels*> level{available().front()};
  return level;
}

}  // namespace

const std::vector<const Kernels*>& available() {
  static const std::vector<const Kernels*> levels = probe();
  return levels;
}

const Kernels& active() { return *chosen().load(std::memory_order_relaxed); }

bool select(const std::string& name) {
  for (const Kernels* level : available()) {
    if (name == level->name) {
      chosen().store(level, std::memory_order_relaxed);
      return true;
    }
  }
  return false;
}

void keep_freed_memory() {
#if defined(__GLIBC__)
  // Blocks beyond 32 MiB would be mapped and unmapped one by one whatever M_MMAP_THRESHOLD says, and each thread's own
  // arena gives whole heaps back: so no mappings, one arena, and no trimming of it.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 16 << 20);
#endif
}

}  // namespace privity
