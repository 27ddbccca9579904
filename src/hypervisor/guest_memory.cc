// Translation and guest memory over the interface of vm.h.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "hypervisor/guest_memory.h"
#include "ringside/vm.h"

namespace ringside::hypervisor {
namespace {

// More than any packet asks for; it bounds the work and the memory of one request.
constexpr std::uint64_t kLargestRead = 16u << 20;

class EntryReader final : public x86::PhysicalReader {
 public:
  explicit EntryReader(Memory& memory) : memory_(memory) {}
  bool read_entry(Gpa address, unsigned size, std::uint64_t& value) override {
    return memory_.read_ram(address, std::as_writable_bytes(std::span(&value, 1)).first(size))
        .has_value();
  }

 private:
  Memory& memory_;
};

Result<x86::PagingState> paging_state(Vcpu& vcpu) {
  x86::PagingState state;
  state.cr0 = TRY(vcpu.read_register(x86::Register::Cr0)).as_u64();
  state.cr3 = TRY(vcpu.read_register(x86::Register::Cr3)).as_u64();
  state.cr4 = TRY(vcpu.read_register(x86::Register::Cr4)).as_u64();
  state.efer = TRY(vcpu.read_register(x86::Register::Efer)).as_u64();
  return state;
}

Result<x86::PageWalk> walk_to(const x86::PagingState& state, Vm& vm, Gva address) {
  EntryReader reader(vm.memory());
  const x86::PageWalk found = x86::walk(state, address, reader);
  if (found.outcome != x86::PageWalk::Outcome::Mapped) {
    return fail(ErrorCode::BadAddress, fmt::format("{:#x} is not mapped", address.value));
  }
  return found;
}

Result<Extent> extent_with(const x86::PagingState& state, Vm& vm, Gva address) {
  const x86::PageWalk found = TRY(walk_to(state, vm, address));
  return Extent{found.gpa, found.page_size - (address.value & (found.page_size - 1)),
                found.no_execute, found.user};
}

// Physical addresses go on to the end of them all.
Result<Extent> physical_extent(std::uint64_t address) {
  return Extent{Gpa{address}, std::max(~address, std::uint64_t{1})};
}

// How much of `size` bytes from `address` lies in its page.
std::uint64_t piece(std::uint64_t address, std::uint64_t size) {
  return std::min(size, kPageSize - (address & ~kPageMask));
}

// As the model does (docs/model.md, row 28): the widest aligned access up to 4 bytes. Devices see
// what a driver would do.
unsigned mmio_width(Gpa address, std::uint64_t remaining) {
  if ((address.value & 1) != 0 || remaining == 1) return 1;
  if ((address.value & 2) != 0 || remaining < 4) return 2;
  return 4;
}

bool is_memory(MemoryKind kind) { return kind == MemoryKind::Ram || kind == MemoryKind::Rom; }

// Appends what can be read of [address, address + size) from its start on; perhaps not all at once.
Result<void> read_piece(Vm& vm, VcpuId vcpu, Gpa address, std::uint64_t size,
                        std::vector<std::byte>& out) {
  Memory& memory = vm.memory();
  if (const std::span<const std::byte> shown = memory.view(address, size); !shown.empty()) {
    out.insert(out.end(), shown.begin(), shown.end());
    return {};
  }
  size = piece(address.value, size);
  if (is_memory(memory.kind(address))) {
    const std::size_t before = out.size();
    out.resize(before + size);
    Result<void> done = memory.read_ram(address, std::span(out).subspan(before));
    if (!done) out.resize(before);
    return done;
  }
  const unsigned width = mmio_width(address, size);
  Mmio* const devices = memory.mmio();
  if (devices == nullptr) return fail(ErrorCode::BadAddress, "no memory there");
  const std::uint32_t value = TRY(devices->read_mmio(vcpu, address, width));
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + width);
  return {};
}

Result<void> write_piece(Vm& vm, VcpuId vcpu, Gpa address, std::span<const std::byte> data) {
  if (is_memory(vm.memory().kind(address))) return vm.memory().write_ram(address, data);
  Mmio* const devices = vm.memory().mmio();
  if (devices == nullptr) return fail(ErrorCode::BadAddress, "no memory there");
  while (!data.empty()) {
    const unsigned width = mmio_width(address, data.size());
    std::uint32_t value = 0;
    std::memcpy(&value, data.data(), width);
    TRY(devices->write_mmio(vcpu, address, width, value));
    address = address + width;
    data = data.subspan(width);
  }
  return {};
}

// `locate` gives the extent at a position. The range ends where the address space does; nothing
// wraps to address 0.
template <typename Locate>
Result<std::vector<std::byte>> read_range(Vm& vm, VcpuId vcpu, std::uint64_t address,
                                          std::uint64_t size, Locate locate) {
  std::vector<std::byte> out;
  size = std::min(size, kLargestRead);
  Extent extent;
  while (out.size() < size) {
    const std::size_t before = out.size();
    Result<void> done;
    if (extent.size == 0) {
      Result<Extent> found = locate(address + before);
      if (found)
        extent = *found;
      else
        done = fail(std::move(found).error());
    }
    if (done) done = read_piece(vm, vcpu, extent.gpa, std::min(size - before, extent.size), out);
    if (!done) {
      if (before == 0) return fail(std::move(done).error());
      break;
    }
    const std::uint64_t taken = out.size() - before;
    extent = {extent.gpa + taken, extent.size - taken};
    if (address + out.size() == 0) break;
  }
  return out;
}

// Every page is looked up before the first byte is written, so that a bad range changes nothing.
template <typename Locate>
Result<void> write_range(Vm& vm, VcpuId vcpu, std::uint64_t address,
                         std::span<const std::byte> data, Locate locate) {
  struct Piece {
    Gpa where;
    std::span<const std::byte> data;
  };
  std::vector<Piece> pieces;
  while (!data.empty()) {
    const std::uint64_t length = piece(address, data.size());
    const Gpa where = TRY(locate(address)).gpa;
    if (vm.memory().kind(where) == MemoryKind::Nothing) {
      return fail(ErrorCode::BadAddress, fmt::format("nothing at physical {:#x}", where.value));
    }
    pieces.push_back({where, data.first(length)});
    address += length;
    data = data.subspan(length);
    if (address == 0 && !data.empty()) {
      return fail(ErrorCode::BadAddress, "the range leaves the address space");
    }
  }
  for (const Piece& one : pieces)
    TRY(write_piece(vm, vcpu, one.where, one.data));
  return {};
}

}  // namespace

Result<Gpa> translate(Vm& vm, VcpuId vcpu, Gva address) {
  return TRY(find_extent(vm, vcpu, address)).gpa;
}

Result<Gpa> translate_with_cr3(Vm& vm, VcpuId vcpu, std::uint64_t cr3, Gva address) {
  return TRY(find_extent(vm, vcpu, address, cr3)).gpa;
}

Result<Extent> find_extent(Vm& vm, VcpuId vcpu, Gva address, std::optional<std::uint64_t> cr3) {
  x86::PagingState state = TRY(paging_state(vm.vcpu(vcpu)));
  state.cr3 = cr3.value_or(state.cr3);
  return extent_with(state, vm, address);
}

Result<LinearMap> LinearMap::of(Vm& vm, VcpuId vcpu, std::optional<std::uint64_t> cr3) {
  x86::PagingState state = TRY(paging_state(vm.vcpu(vcpu)));
  state.cr3 = cr3.value_or(state.cr3);
  return LinearMap(vm.memory(), state);
}

LinearPiece LinearMap::at(Gva address) const {
  EntryReader reader(*memory_);
  const x86::PageWalk walk = x86::walk(state_, address, reader);
  const x86::LinearRange range = x86::range_of(state_, address, walk);
  LinearPiece piece{range.first, range.last, std::nullopt};
  if (walk.outcome != x86::PageWalk::Outcome::Mapped) return piece;
  piece.gpa = walk.gpa - (address.value - range.first.value);
  piece.writable = walk.writable;
  piece.executable = !walk.no_execute;
  return piece;
}

std::uint64_t distance_to_memory(Memory& memory, Gpa address) {
  if (is_memory(memory.kind(address))) return 0;
  const std::vector<MemoryRegion> regions = memory.regions();
  if (regions.empty()) return kPageSize - (address.value & ~kPageMask);
  for (const MemoryRegion& region : regions) {
    if (region.base > address) return region.base.value - address.value;
  }
  // To the end of all addresses, which is one byte more where that can be said.
  return std::max(~address.value, ~address.value + 1);
}

Result<std::vector<std::byte>> read_virtual(Vm& vm, VcpuId vcpu, Gva address, std::uint64_t size,
                                            std::optional<std::uint64_t> cr3) {
  x86::PagingState state = TRY(paging_state(vm.vcpu(vcpu)));
  state.cr3 = cr3.value_or(state.cr3);
  return read_range(vm, vcpu, address.value, size,
                    [&](std::uint64_t position) { return extent_with(state, vm, Gva{position}); });
}

Result<void> write_virtual(Vm& vm, VcpuId vcpu, Gva address, std::span<const std::byte> data) {
  const x86::PagingState state = TRY(paging_state(vm.vcpu(vcpu)));
  return write_range(vm, vcpu, address.value, data,
                     [&](std::uint64_t position) { return extent_with(state, vm, Gva{position}); });
}

Result<std::vector<std::byte>> read_physical(Vm& vm, VcpuId vcpu, Gpa address, std::uint64_t size) {
  return read_range(vm, vcpu, address.value, size, physical_extent);
}

Result<void> write_physical(Vm& vm, VcpuId vcpu, Gpa address, std::span<const std::byte> data) {
  return write_range(vm, vcpu, address.value, data, physical_extent);
}

}  // namespace ringside::hypervisor
