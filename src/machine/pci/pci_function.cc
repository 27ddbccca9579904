#include "machine/pci/pci_function.h"

namespace ringside::machine {
namespace {

constexpr unsigned kVendor = 0x00, kDevice = 0x02, kRevision = 0x08, kClass = 0x09,
                   kCacheLine = 0x0c, kLatency = 0x0d, kSubsystemVendor = 0x2c, kSubsystem = 0x2e;
// Parity and system errors can be switched on, and never happen.
constexpr std::uint32_t kCommandErrors = 0x140;
constexpr std::uint32_t kStatusInterrupt = 0x08, kStatusCapabilities = 0x10;

}  // namespace

PciFunction::PciFunction(const PciIdentity& identity, std::optional<InterruptLine> line)
    : line_(line) {
  configuration_.set(kVendor, 2, identity.vendor);
  configuration_.set(kDevice, 2, identity.device);
  configuration_.set(kRevision, 1, identity.revision);
  configuration_.set(kClass, 3, identity.class_code);
  configuration_.set(kSubsystemVendor, 2, identity.subsystem_vendor);
  configuration_.set(kSubsystem, 2, identity.subsystem);
  configuration_.let_write(
      pci::kCommand, 2,
      pci::kCommandMemory | pci::kCommandMaster | kCommandErrors | pci::kCommandNoInterrupt);
  configuration_.let_write(kCacheLine, 1, 0xff);
  configuration_.let_write(kLatency, 1, 0xff);
  configuration_.let_write(pci::kInterruptLine, 1, 0xff);
  configuration_.set(pci::kInterruptPin, 1, line_ ? 1 : 0);
}

void PciFunction::add_bar(unsigned bar, std::uint32_t size) {
  bars_[bar] = size;
  configuration_.let_write(pci::kFirstBar + 4 * bar, 4, ~(size - 1));
}

unsigned PciFunction::add_capability(std::uint8_t id, unsigned size) {
  const unsigned place = next_capability_;
  next_capability_ += (size + 3) & ~3u;
  configuration_.set(last_link_, 1, place);
  configuration_.set(place, 1, id);
  last_link_ = place + 1;
  configuration_.set(pci::kStatus, 2, kStatusCapabilities);
  return place;
}

void PciFunction::reset() {
  configuration_.clear_writable();
  set_interrupt(false);
}

void PciFunction::visit_state(StateVisitor& visitor) {
  configuration_.visit_state(visitor);
  visitor.field(interrupt_);
}

std::uint32_t PciFunction::peek_configuration(unsigned offset, unsigned width) const {
  const std::uint32_t value = configuration_.read(offset, width);
  if (!interrupt_ || offset > pci::kStatus || offset + width <= pci::kStatus) return value;
  return value | kStatusInterrupt << (8 * (pci::kStatus - offset));
}

void PciFunction::write_configuration(unsigned offset, unsigned width, std::uint32_t value) {
  configuration_.write(offset, width, value);
  update_line();
}

Gpa PciFunction::bar_base(unsigned bar) const {
  return {configuration_.read(pci::kFirstBar + 4 * bar, 4) & ~15u};
}

std::optional<PciFunction::Place> PciFunction::find(Gpa address) const {
  if (!command(pci::kCommandMemory)) return std::nullopt;
  for (unsigned bar = 0; bar < kBars; ++bar) {
    const std::uint64_t offset = address.value - bar_base(bar).value;
    if (offset < bars_[bar]) return Place{bar, offset};
  }
  return std::nullopt;
}

void PciFunction::place_bar(unsigned bar, Gpa base) {
  configuration_.write(pci::kFirstBar + 4 * bar, 4, static_cast<std::uint32_t>(base.value));
  const std::uint32_t command = configuration_.read(pci::kCommand, 2);
  configuration_.write(pci::kCommand, 2, command | pci::kCommandMemory);
}

void PciFunction::set_interrupt(bool asserted) {
  interrupt_ = asserted;
  update_line();
}

void PciFunction::update_line() const {
  if (line_) line_->set(interrupt_ && !command(pci::kCommandNoInterrupt));
}

}  // namespace ringside::machine
