#include "engine/soft/translate/code_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "base/memory_file.h"
#include "ringside/types.h"

namespace ringside::soft {
namespace {

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kPageSize - 1) & ~(std::size_t{kPageSize} - 1);
}

Error no_memory(const std::string& why) {
  return {ErrorCode::System, "there is no memory for host code: " + why};
}

}  // namespace

Result<CodeMemory> CodeMemory::create(std::size_t code_bytes, std::size_t data_bytes) {
  CodeMemory memory;
  memory.code_bytes_ = code_bytes;
  memory.mapped_ = whole_pages(code_bytes);
  memory.data_bytes_ = whole_pages(data_bytes);
  const Result<Fd> file = create_memory_file("ringside-host-code", memory.mapped_);
  if (!file) return fail(no_memory(file.error().text()));
  void* const writable =
      ::mmap(nullptr, memory.mapped_, PROT_READ | PROT_WRITE, MAP_SHARED, file->get(), 0);
  if (writable == MAP_FAILED) return fail(no_memory(Error::from_errno("mmap", errno).text()));
  memory.writable_ = static_cast<std::uint8_t*>(writable);
  void* const both = ::mmap(nullptr, memory.mapped_ + memory.data_bytes_, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (both == MAP_FAILED) return fail(no_memory(Error::from_errno("mmap", errno).text()));
  memory.executable_ = static_cast<std::uint8_t*>(both);
  // Never writable in this mapping, nor executable in the other one.
  if (::mmap(both, memory.mapped_, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, file->get(), 0) ==
      MAP_FAILED) {
    return fail(Error::from_errno("the host forbids executable memory: mmap", errno));
  }
  return memory;
}

CodeMemory::CodeMemory(CodeMemory&& other) noexcept
    : writable_(std::exchange(other.writable_, nullptr)),
      executable_(std::exchange(other.executable_, nullptr)),
      mapped_(other.mapped_),
      code_bytes_(other.code_bytes_),
      data_bytes_(other.data_bytes_) {}

CodeMemory::~CodeMemory() {
  if (writable_ != nullptr) ::munmap(writable_, mapped_);
  if (executable_ != nullptr) ::munmap(executable_, mapped_ + data_bytes_);
}

}  // namespace ringside::soft
