#include "machine/pci/msix.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kEntrySize = 16;

}  // namespace

void Msix::reset() { state_ = State{}; }

void Msix::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  visitor.expect(state_.pending >> vectors_ == 0);
}

void Msix::send(unsigned vector) {
  const Entry& entry = state_.entries[vector];
  state_.pending &= ~(std::uint64_t{1} << vector);
  sink_.send_message(entry.address, entry.data);
}

void Msix::trigger(unsigned vector, Gate gate) {
  if (vector >= vectors_) return;
  state_.pending |= std::uint64_t{1} << vector;
  if (gate == Gate::Open && (state_.entries[vector].control & kMasked) == 0) send(vector);
}

void Msix::open() {
  for (unsigned vector = 0; vector < vectors_; ++vector) {
    const bool waits = (state_.pending >> vector & 1) != 0;
    if (waits && (state_.entries[vector].control & kMasked) == 0) send(vector);
  }
}

std::uint64_t Msix::peek(const MmioAccess& access) const {
  if (access.width < 4 || access.offset % access.width != 0) return 0;
  if (access.offset == kPendingOffset) return state_.pending;
  const std::uint64_t vector = access.offset / kEntrySize;
  if (vector >= vectors_) return 0;
  const Entry& entry = state_.entries[vector];
  const std::uint64_t second = std::uint64_t{entry.control} << 32 | entry.data;
  const std::uint64_t whole = (access.offset & 8) != 0 ? second : entry.address;
  return whole >> (8 * (access.offset & 4));
}

void Msix::write(const MmioAccess& access, std::uint64_t value, Gate gate) {
  if (access.width < 4 || access.offset % access.width != 0) return;
  if (access.width == 8) {
    write({access.vcpu, access.offset, 4}, value & 0xffffffff, gate);
    write({access.vcpu, access.offset + 4, 4}, value >> 32, gate);
    return;
  }
  const std::uint64_t vector = access.offset / kEntrySize;
  if (vector >= vectors_) return;
  Entry& entry = state_.entries[vector];
  const auto word = static_cast<std::uint32_t>(value);
  switch (access.offset % kEntrySize) {
    case 0:
      entry.address = (entry.address & ~std::uint64_t{0xffffffff}) | (word & ~3u);
      break;
    case 4:
      entry.address = (entry.address & 0xffffffff) | std::uint64_t{word} << 32;
      break;
    case 8:
      entry.data = word;
      break;
    default:
      entry.control = word & kMasked;
      break;
  }
  if (gate == Gate::Open) open();
}

}  // namespace ringside::machine
