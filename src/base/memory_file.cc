#include "base/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace ringside {
namespace {

// MFD_NOEXEC_SEAL, which kernels have since Linux 6.3. Where vm.memfd_noexec is 2, a kernel refuses
// files that may be made programs.
constexpr unsigned kNoProgram = 0x8;

}  // namespace

Result<Fd> create_memory_file(const char* name, std::uint64_t size) {
  Fd file(::memfd_create(name, MFD_CLOEXEC | kNoProgram));
  if (!file && errno == EINVAL) file.reset(::memfd_create(name, MFD_CLOEXEC));
  if (!file) return fail(Error::from_errno("memfd_create", errno));
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0)
    return fail(Error::from_errno("ftruncate", errno));
  return file;
}

}  // namespace ringside
