// The configuration space of a PCI function: 256 bytes, of which each bit is the guest's to write
// or fixed (PCI Local Bus specification 3.0, 6.1). Owned by its function.
#pragma once

#include <array>
#include <cstdint>

#include "base/state_visitor.h"

namespace ringside::machine {

class PciConfiguration {
 public:
  static constexpr unsigned kSize = 256;

  // Little-endian, of 1 to 4 bytes that lie within the space.
  std::uint32_t read(unsigned offset, unsigned width) const;
  // The guest's: only bits that are writable change.
  void write(unsigned offset, unsigned width, std::uint32_t value);

  // The device's: any bit, and which ones the guest may write.
  void set(unsigned offset, unsigned width, std::uint32_t value);
  void let_write(unsigned offset, unsigned width, std::uint32_t mask);
  // Writable bits are zero again.
  void clear_writable();

  // A loader refuses fixed bits that are others.
  void visit_state(StateVisitor& visitor);

 private:
  using Bytes = std::array<std::uint8_t, kSize>;
  Bytes bytes_{}, writable_{};
};

}  // namespace ringside::machine
