#include "engine/kvm/host/kernel_controllers.h"

#include <cstring>
#include <vector>

#include "base/log.h"
#include "engine/kvm/host/api.h"

namespace ringside::kvm {
namespace {

constexpr unsigned kIsaLines = 16, kCascade = 2, kTimerLine = 0, kTimerPin = 2;

using namespace x86::io_apic;

// Where each line goes: those of the ISA bus to an 8259 and to the I/O APIC, the timer's to the
// latter's pin 2, as the MADT tells the guest; the others to the I/O APIC only.
std::vector<kvm_irq_routing_entry> routes() {
  std::vector<kvm_irq_routing_entry> result;
  const auto add = [&](unsigned line, std::uint32_t chip, unsigned pin) {
    kvm_irq_routing_entry entry{};
    entry.gsi = line;
    entry.type = KVM_IRQ_ROUTING_IRQCHIP;
    entry.u.irqchip.irqchip = chip;
    entry.u.irqchip.pin = pin;
    result.push_back(entry);
  };
  for (unsigned line = 0; line < kPins; ++line) {
    if (line == kCascade) continue;
    if (line < kIsaLines)
      add(line, line < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, line % 8);
    add(line, KVM_IRQCHIP_IOAPIC, line == kTimerLine ? kTimerPin : line);
  }
  return result;
}

hypervisor::PicImage to_image(const kvm_pic_state& pic) {
  hypervisor::PicImage image;
  image.request = pic.irr;
  image.mask = pic.imr;
  image.service = pic.isr;
  image.level_triggered = pic.elcr;
  image.vector_base = pic.irq_base;
  image.read_service = pic.read_reg_select;
  image.fully_nested_special = pic.special_fully_nested_mode;
  image.first = pic.priority_add;
  return image;
}

}  // namespace

Result<void> KernelControllers::create() {
  TRY(control(vm_, KVM_CREATE_IRQCHIP, 0ul, "interrupt controllers"));
  // The kernel's timer answers for port 0x61 too: it gates channel 2 and shows its output.
  kvm_pit_config timer{};
  timer.flags = KVM_PIT_SPEAKER_DUMMY;
  TRY(control(vm_, KVM_CREATE_PIT2, &timer, "a timer"));
  // Ticks that a stopped guest has missed are not made up for in a burst.
  kvm_reinject_control missed{};
  (void)control(vm_, KVM_REINJECT_CONTROL, &missed, "to drop missed ticks");

  const std::vector<kvm_irq_routing_entry> entries = routes();
  constexpr std::size_t kHeader = 8;  // in C; see api.h
  std::vector<std::uint64_t> table((kHeader + entries.size() * sizeof entries[0] + 7) / 8);
  const auto count = static_cast<std::uint32_t>(entries.size());
  std::memcpy(table.data(), &count, sizeof count);
  std::memcpy(reinterpret_cast<char*>(table.data()) + kHeader, entries.data(),
              entries.size() * sizeof entries[0]);
  constexpr unsigned long kSetRouting = _IOC(_IOC_WRITE, KVMIO, 0x6a, 8);
  TRY(control(vm_, kSetRouting, table.data(), "the routes of interrupt lines"));
  for (std::size_t i = 0; i < chips_.size(); ++i)
    chips_[i] = TRY(get(kChips[i]));
  // As the machine's own; firmware sets them up anew.
  const auto leave_as_bios = [](kvm_irqchip& chip, std::uint8_t vectors) {
    chip.chip.pic.irq_base = vectors;
    chip.chip.pic.imr = 0xff;
  };
  leave_as_bios(chips_[0], hypervisor::PicPairImage::kBiosMasterVectors);
  leave_as_bios(chips_[1], hypervisor::PicPairImage::kBiosSlaveVectors);
  for (std::size_t i = 0; i < 2; ++i)
    TRY(set(chips_[i]));
  TRY(control(vm_, KVM_GET_PIT2, &timer_, "to read the timer"));
  return {};
}

// The timer first, and the lines low, so that nothing is requested anew; and the I/O APIC before
// the local ones, which it may ask at once.
Result<void> KernelControllers::reset() {
  const auto lock = hold_lines();
  kvm_pit_state2 timer = timer_;
  TRY(control(vm_, KVM_SET_PIT2, &timer, "to write the timer"));
  for (unsigned line = 0; line < kPins; ++line) {
    if (line != kCascade) TRY(put_line(line, false));
  }
  for (kvm_irqchip chip : chips_)
    TRY(set(chip));
  return {};
}

Result<void> KernelControllers::put_line(unsigned line, bool asserted) {
  kvm_irq_level level{};
  level.irq = line;
  level.level = asserted;
  TRY(control(vm_, KVM_IRQ_LINE, &level, "an interrupt line"));
  return {};
}

// In the kernel's words: the 8254 counts on and interrupts no more.
void KernelControllers::replace_timer(bool on) {
  const auto lock = hold_lines();
  kvm_pit_state2 timer{};
  auto done = control(vm_, KVM_GET_PIT2, &timer, "to read the timer");
  timer.flags = on ? KVM_PIT_FLAGS_HPET_LEGACY : 0;
  if (done) done = control(vm_, KVM_SET_PIT2, &timer, "to write the timer");
  if (!done) log::error("kvm: {}", done.error().text());
}

bool KernelControllers::timer_is_replaced() const {
  kvm_pit_state2 timer{};
  const auto known = control(vm_, KVM_GET_PIT2, &timer, "to read the timer");
  return known && (timer.flags & KVM_PIT_FLAGS_HPET_LEGACY) != 0;
}

void KernelControllers::set_line(unsigned line, bool asserted) {
  const auto lock = hold_lines();
  if (line == kTimerLine && !timer_is_replaced()) return;
  if (const auto done = put_line(line, asserted); !done) log::error("kvm: {}", done.error().text());
}

// As a message-signalled interrupt: it reaches the same inputs.
void KernelControllers::send(const ApicCommand& message) {
  send_message(x86::apic::message_address(message.destination,
                                          message.logical ? x86::apic::DestinationMode::Logical
                                                          : x86::apic::DestinationMode::Physical),
               x86::apic::message_data(message.vector, message.mode));
}

void KernelControllers::send_message(std::uint64_t address, std::uint32_t data) {
  kvm_msi request{};
  request.address_lo = static_cast<std::uint32_t>(address);
  request.address_hi = static_cast<std::uint32_t>(address >> 32);
  request.data = data;
  if (const auto done = control(vm_, KVM_SIGNAL_MSI, &request, "an interrupt message"); !done)
    log::debug("kvm: {}", done.error().text());
}

Result<kvm_irqchip> KernelControllers::get(std::uint32_t chip) {
  kvm_irqchip state{};
  state.chip_id = chip;
  TRY(control(vm_, KVM_GET_IRQCHIP, &state, "to read an interrupt controller"));
  return state;
}

Result<void> KernelControllers::set(kvm_irqchip& chip) {
  TRY(control(vm_, KVM_SET_IRQCHIP, &chip, "to write an interrupt controller"));
  return {};
}

Result<hypervisor::IoApicImage> KernelControllers::io_apic() {
  const kvm_irqchip state = TRY(get(KVM_IRQCHIP_IOAPIC));
  hypervisor::IoApicImage image;
  for (unsigned pin = 0; pin < kPins; ++pin)
    image.entry[pin] = state.chip.ioapic.redirtbl[pin].bits;
  image.pins = state.chip.ioapic.irr;
  image.select = state.chip.ioapic.ioregsel;
  image.id = static_cast<std::uint8_t>(state.chip.ioapic.id);
  image.version = 0x11;
  return image;
}

Result<hypervisor::PicPairImage> KernelControllers::pics() {
  const kvm_irqchip master = TRY(get(KVM_IRQCHIP_PIC_MASTER));
  const kvm_irqchip slave = TRY(get(KVM_IRQCHIP_PIC_SLAVE));
  return hypervisor::PicPairImage{to_image(master.chip.pic), to_image(slave.chip.pic)};
}

Result<std::uint32_t> KernelControllers::read_io_apic(std::uint64_t offset) {
  const hypervisor::IoApicImage image = TRY(io_apic());
  if (offset == kSelect) return image.select;
  if (offset != kWindow) return 0u;
  if (image.select == kId || image.select == kArbitration) return std::uint32_t{image.id} << 24;
  if (image.select == kVersion) return image.version | (kPins - 1) << 16;
  const std::uint32_t number = image.select - kEntries;
  if (number >= 2 * kPins) return ~0u;
  return static_cast<std::uint32_t>(image.entry[number / 2] >> (number % 2 != 0 ? 32 : 0));
}

Result<void> KernelControllers::write_io_apic(std::uint64_t offset, std::uint32_t value) {
  const auto lock = hold_lines();
  kvm_irqchip state = TRY(get(KVM_IRQCHIP_IOAPIC));
  auto& apic = state.chip.ioapic;
  if (offset == kSelect) {
    apic.ioregsel = value & 0xff;
    return set(state);
  }
  if (offset != kWindow) return {};
  if (apic.ioregsel == kId) apic.id = value >> 24 & 0xf;
  const std::uint32_t number = apic.ioregsel - kEntries;
  if (number < 2 * kPins) {
    std::uint64_t entry = apic.redirtbl[number / 2].bits;
    const std::uint64_t before = entry;
    const unsigned shift = number % 2 != 0 ? 32 : 0;
    entry = (entry & ~(std::uint64_t{0xffffffff} << shift)) | std::uint64_t{value} << shift;
    apic.redirtbl[number / 2].bits = (entry & ~kReadOnlyBits) | (before & kReadOnlyBits);
  }
  return set(state);
}

bool KernelControllers::take_back(std::uint32_t chip, std::uint8_t vector) {
  auto state = get(chip);
  if (!state) return false;
  kvm_pic_state& pic = state->chip.pic;
  if ((vector & 0xf8) != pic.irq_base) return false;
  const auto line = static_cast<std::uint8_t>(1u << vector % 8);
  pic.isr &= static_cast<std::uint8_t>(~line);
  pic.irr |= line;
  return set(*state).has_value();
}

void KernelControllers::take_back_from_pics(std::uint8_t vector) {
  const auto lock = hold_lines();
  if (take_back(KVM_IRQCHIP_PIC_MASTER, vector)) return;
  if (!take_back(KVM_IRQCHIP_PIC_SLAVE, vector)) return;
  if (auto master = get(KVM_IRQCHIP_PIC_MASTER)) {
    const auto line = static_cast<std::uint8_t>(1u << kCascade);
    master->chip.pic.isr &= static_cast<std::uint8_t>(~line);
    master->chip.pic.irr |= line;
    (void)set(*master);
  }
}

}  // namespace ringside::kvm
