#include "engine/soft/translate/emitter/code_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "ringside/types.h"

namespace ringside::soft {
namespace {

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kPageSize - 1) & ~(std::size_t{kPageSize} - 1);
}

}  // namespace

// Memory without a name, and not of a file: perf(1) looks for names of code only where it lies in
// such. The mapping to write it is a copy of the one to execute it (mremap(2), old size 0), which
// loses the right to be executed before it gets the other one: PR_SET_MDWE has nothing against
// that.
Result<CodeMemory> CodeMemory::create(std::size_t code_bytes, std::size_t data_bytes) {
  CodeMemory memory;
  memory.code_bytes_ = code_bytes;
  memory.mapped_ = whole_pages(code_bytes);
  memory.data_bytes_ = whole_pages(data_bytes);
  constexpr int kWritable = PROT_READ | PROT_WRITE;
  void* const both = ::mmap(nullptr, memory.mapped_ + memory.data_bytes_, kWritable,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (both == MAP_FAILED) return fail(Error::from_errno("no memory for host code: mmap", errno));
  memory.executable_ = static_cast<std::uint8_t*>(both);
  if (::mmap(both, memory.mapped_, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
             -1, 0) == MAP_FAILED)
    return fail(Error::from_errno("the host forbids executable memory: mmap", errno));
  void* const copy = ::mremap(both, 0, memory.mapped_, MREMAP_MAYMOVE);
  if (copy == MAP_FAILED) return fail(Error::from_errno("no memory for host code: mremap", errno));
  memory.writable_ = static_cast<std::uint8_t*>(copy);
  if (::mprotect(copy, memory.mapped_, kWritable) != 0)
    return fail(Error::from_errno("the host forbids to write host code: mprotect", errno));
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
