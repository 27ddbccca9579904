#include "engine/soft/translate/code_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "ringside/types.h"

namespace ringside::soft {
namespace {

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kPageSize - 1) & ~(std::size_t{kPageSize} - 1);
}

}  // namespace

Result<CodeMemory> CodeMemory::create(std::size_t code_bytes, std::size_t data_bytes) {
  CodeMemory memory;
  memory.code_bytes_ = whole_pages(code_bytes);
  memory.data_bytes_ = whole_pages(data_bytes);
  const int file = ::memfd_create("ringside-host-code", MFD_CLOEXEC);
  if (file < 0) return fail(Error::from_errno("memfd_create", errno));
  const auto failed = [&](const char* what) {
    const int number = errno;
    ::close(file);
    return fail(Error::from_errno(what, number));
  };
  if (::ftruncate(file, static_cast<off_t>(memory.code_bytes_)) != 0) return failed("ftruncate");
  void* const writable =
      ::mmap(nullptr, memory.code_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (writable == MAP_FAILED) return failed("mmap");
  memory.writable_ = static_cast<std::uint8_t*>(writable);
  void* const both = ::mmap(nullptr, memory.code_bytes_ + memory.data_bytes_,
                            PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (both == MAP_FAILED) return failed("mmap");
  memory.executable_ = static_cast<std::uint8_t*>(both);
  if (::mmap(both, memory.code_bytes_, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, file, 0) ==
      MAP_FAILED) {
    return failed("mmap of executable memory");
  }
  ::close(file);
  return memory;
}

CodeMemory::CodeMemory(CodeMemory&& other) noexcept
    : writable_(std::exchange(other.writable_, nullptr)),
      executable_(std::exchange(other.executable_, nullptr)),
      code_bytes_(other.code_bytes_),
      data_bytes_(other.data_bytes_) {}

CodeMemory::~CodeMemory() {
  if (writable_ != nullptr) ::munmap(writable_, code_bytes_);
  if (executable_ != nullptr) ::munmap(executable_, code_bytes_ + data_bytes_);
}

}  // namespace ringside::soft
