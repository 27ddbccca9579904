// Memory that is to be mapped in more than one place: a file that has no name in any folder.
#pragma once

#include <cstdint>

#include "base/fd.h"
#include "base/result.h"

namespace ringside {

// `size` bytes of zeros. `name` is what /proc/PID/maps shows. The file can never be executed as a
// program, so that a host whose vm.memfd_noexec forbids such files has nothing against it; whether
// its pages may be mapped to be executed is another question, which mmap(2) answers.
Result<Fd> create_memory_file(const char* name, std::uint64_t size);

}  // namespace ringside
