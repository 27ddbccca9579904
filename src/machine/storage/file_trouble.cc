#include "machine/storage/file_trouble.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace ringside::machine {
namespace {

const char* plural_of(FileTrouble::Operation operation) {
  using enum FileTrouble::Operation;
  return operation == Read ? "reads" : operation == Write ? "writes" : "flushes";
}

const char* way_out(int error) {
  const bool is_full = error == ENOSPC || error == EDQUOT;
  return is_full ? "they work again once there is room" : "the host's kernel log may say why";
}

}  // namespace

// It is worth a line.
bool FileTrouble::begins(Kind& kind, std::uint64_t offset) {
  if (kind.failed_at) return false;
  kind.failed_at = offset;
  return std::has_single_bit(++kind.times);
}

void FileTrouble::fails(Operation operation, std::uint64_t offset, int error) {
  if (!begins(of(operation), offset)) return;
  log::warning("{}: the guest's {} fail, at byte {} first: {}; {}", name_, plural_of(operation),
               offset, std::strerror(error), way_out(error));
}

void FileTrouble::read_fails(const Fd& file, std::uint64_t size, std::uint64_t offset, int error) {
  const off_t end = ::lseek(file.get(), 0, SEEK_END);
  if (end < 0 || static_cast<std::uint64_t>(end) >= size)
    return fails(Operation::Read, offset, error);
  if (!begins(cut_, size - 1)) return;
  log::warning(
      "{}: somebody has cut it from {} to {} bytes, and the guest's reads behind its end fail "
      "until it is as long again",
      name_, size, end);
}

}  // namespace ringside::machine
