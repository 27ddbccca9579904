// Memory that is about to be written as a whole.
#pragma once

#include <cstddef>

namespace ringside {

// Has the kernel put memory behind these `size` bytes in one request, where it can
// (MADV_POPULATE_WRITE, Linux 5.14), instead of by a fault for each page. What lies there stays.
void populate(void* start, std::size_t size);

}  // namespace ringside
