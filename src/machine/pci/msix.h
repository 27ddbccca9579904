// MSI-X of a PCI function (PCI Local Bus specification 3.0, 6.8.2): its capability, the table of
// vectors, and those that wait because they are masked. Owned by its function.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "base/state_visitor.h"
#include "machine/bus/bus.h"
#include "machine/bus/message_sink.h"

namespace ringside::machine {

class Msix {
 public:
  static constexpr std::uint8_t kCapability = 0x11;
  static constexpr unsigned kCapabilitySize = 12, kControl = 2, kTable = 4, kPending = 8;
  // Bits of the capability's control word.
  static constexpr std::uint32_t kEnable = 0x8000, kMaskAll = 0x4000;

  static constexpr unsigned kMaxVectors = 16;
  // Where the table and the pending bits are in the memory that they are mapped into.
  static constexpr std::uint32_t kTableOffset = 0, kPendingOffset = 0x800, kSize = 0x1000;

  Msix(MessageSink& sink, unsigned vectors) : sink_(sink), vectors_(vectors) { reset(); }

  void reset();
  void visit_state(StateVisitor& visitor);
  unsigned vectors() const { return vectors_; }

  enum class Gate : std::uint8_t { Open, Shut };  // whether the function may send at all
  // A shut gate and masks hold a vector back until open() or a write.
  void trigger(unsigned vector, Gate gate);
  void open();

  // The table and the pending bits. Whole aligned words of 4 or 8 bytes; others are undefined.
  std::uint64_t peek(const MmioAccess& access) const;
  void write(const MmioAccess& access, std::uint64_t value, Gate gate);

 private:
  struct Entry {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    std::uint32_t control = kMasked;
  };
  static constexpr std::uint32_t kMasked = 1;
  struct State {
    std::array<Entry, kMaxVectors> entries{};
    std::uint64_t pending = 0;
  };
  static_assert(std::has_unique_object_representations_v<State>);

  void send(unsigned vector);

  MessageSink& sink_;
  unsigned vectors_;
  State state_;
};

}  // namespace ringside::machine
