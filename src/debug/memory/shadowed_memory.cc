#include "debug/memory/shadowed_memory.h"
#include "hypervisor/guest_memory.h"

#include <algorithm>

namespace ringside::debug {
namespace {

// How much of `left` bytes from `address` lies in its page.
std::uint64_t in_page(std::uint64_t address, std::uint64_t left) {
  return std::min(left, kPageSize - (address & (kPageSize - 1)));
}

}  // namespace

Result<Gpa> ShadowedMemory::translate(std::uint64_t address) {
  if (addresses_.kind == AddressKind::Physical) return Gpa{address};
  return TRY(hypervisor::find_extent(vm_, vcpu_, Gva{address}, addresses_.cr3)).gpa;
}

Result<std::vector<std::byte>> ShadowedMemory::read(std::uint64_t address, std::uint64_t size) {
  std::vector<std::byte> data =
      TRY(addresses_.kind == AddressKind::Physical
              ? hypervisor::read_physical(vm_, vcpu_, Gpa{address}, size)
              : hypervisor::read_virtual(vm_, vcpu_, Gva{address}, size, addresses_.cr3));
  if (!breakpoints_.has_bytes()) return data;
  for (std::uint64_t done = 0; done < data.size();) {
    const std::uint64_t length = in_page(address + done, data.size() - done);
    const Result<Gpa> where = translate(address + done);
    if (where) breakpoints_.hide(*where, std::span(data).subspan(done, length), alone_);
    done += length;
  }
  return data;
}

Result<void> ShadowedMemory::write(std::uint64_t address, std::span<const std::byte> data) {
  struct Piece {
    Gpa where;
    std::span<const std::byte> data;
  };
  // Every page is looked up before the first byte changes.
  std::vector<Piece> pieces;
  for (std::uint64_t done = 0; done < data.size();) {
    if (done > 0 && address + done == 0)
      return fail(ErrorCode::BadAddress, "the range leaves the address space");
    const std::uint64_t length = in_page(address + done, data.size() - done);
    const Gpa where = TRY(translate(address + done));
    if (vm_.memory().kind(where) == hypervisor::MemoryKind::Nothing)
      return fail(ErrorCode::BadAddress, "there is nothing at this address");
    pieces.push_back({where, data.subspan(done, length)});
    done += length;
  }
  for (const Piece& piece : pieces) {
    std::vector<std::byte> bytes(piece.data.begin(), piece.data.end());
    breakpoints_.shadow(piece.where, bytes);
    TRY(hypervisor::write_physical(vm_, vcpu_, piece.where, bytes));
    breakpoints_.written(piece.where, bytes.size());
  }
  return {};
}

}  // namespace ringside::debug
