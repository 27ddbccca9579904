#include "machine/pci/configuration.h"

namespace ringside::machine {
namespace {

std::uint8_t byte_of(std::uint32_t value, unsigned index) {
  return static_cast<std::uint8_t>(value >> (8 * index));
}

}  // namespace

std::uint32_t PciConfiguration::read(unsigned offset, unsigned width) const {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < width; ++i)
    value |= std::uint32_t{bytes_[offset + i]} << (8 * i);
  return value;
}

void PciConfiguration::write(unsigned offset, unsigned width, std::uint32_t value) {
  for (unsigned i = 0; i < width; ++i) {
    std::uint8_t& byte = bytes_[offset + i];
    const unsigned mask = writable_[offset + i];
    byte = static_cast<std::uint8_t>((byte & ~mask) | (byte_of(value, i) & mask));
  }
}

void PciConfiguration::set(unsigned offset, unsigned width, std::uint32_t value) {
  for (unsigned i = 0; i < width; ++i)
    bytes_[offset + i] = byte_of(value, i);
}

void PciConfiguration::let_write(unsigned offset, unsigned width, std::uint32_t mask) {
  for (unsigned i = 0; i < width; ++i)
    writable_[offset + i] = byte_of(mask, i);
}

void PciConfiguration::clear_writable() {
  for (unsigned i = 0; i < kSize; ++i)
    bytes_[i] = static_cast<std::uint8_t>(bytes_[i] & ~writable_[i]);
}

void PciConfiguration::visit_state(StateVisitor& visitor) {
  const Bytes before = bytes_;
  visitor.field(bytes_);
  bool is_same = true;
  for (unsigned i = 0; i < kSize; ++i)
    is_same = is_same && ((before[i] ^ bytes_[i]) & ~writable_[i]) == 0;
  visitor.expect(is_same);
}

}  // namespace ringside::machine
