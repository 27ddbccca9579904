#include "base/populate.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace ringside {

// Only pages that lie in it whole: what is beside them may be nobody's.
void populate(void* start, std::size_t size) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(start);
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t end = (begin + size) / page * page;
  if (first < end)
    (void)::madvise(reinterpret_cast<void*>(first), end - first, MADV_POPULATE_WRITE);
}

}  // namespace ringside
