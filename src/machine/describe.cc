// The interrupt controllers in words, for `monitor info lapic` and its like, after the layout that
// QEMU gave them. Looking changes nothing.
#include <fmt/format.h>

#include <string>

#include "machine/io_apic.h"
#include "machine/local_apic.h"
#include "machine/pic.h"

namespace ringside::machine {
namespace {

constexpr std::string_view kDeliveryModes[] = {"Fixed", "LowPri", "SMI",  "...",
                                               "NMI",   "INIT",   "SIPI", "ExtINT"};

std::string_view delivery(std::uint64_t value) { return kDeliveryModes[value >> 8 & 7]; }
bool has_vector(std::uint64_t value) { return (value >> 8 & 7) <= 1 || (value >> 8 & 7) == 7; }

// Of a local vector or a redirection entry; its low bits are laid out alike (SDM 3A 11.5.1).
std::string line_of(std::uint64_t value) {
  std::string text =
      fmt::format("{} {:<5} {:<6} {:<11} {}", (value >> 13 & 1) != 0 ? "active-lo" : "active-hi",
                  (value >> 15 & 1) != 0 ? "level" : "edge", (value >> 16 & 1) != 0 ? "masked" : "",
                  (value >> 12 & 1) != 0 ? "pending" : "", delivery(value));
  if (has_vector(value)) text += fmt::format(" (vec {})", value & 0xff);
  return text;
}

template <std::size_t N>
std::string numbers_in(const std::array<std::uint32_t, N>& bits) {
  std::string text;
  for (unsigned i = 0; i < N * 32; ++i) {
    if ((bits[i / 32] >> (i % 32) & 1) != 0) text += fmt::format("{} ", i);
  }
  return text.empty() ? "(none)" : text;
}

std::string_view timer_mode(std::uint32_t lvt) {
  static constexpr std::string_view kModes[] = {"one-shot", "periodic", "tsc-deadline", "?"};
  return kModes[lvt >> 17 & 3];
}

// SDM 3A 11.5.4.
unsigned divisor(std::uint32_t divide) {
  const unsigned code = (divide & 3) | (divide >> 1 & 4);
  return code == 7 ? 1 : 2u << code;
}

}  // namespace

std::string LocalApic::describe() const {
  std::string text = fmt::format("dumping local APIC state for CPU {}\n\n", vcpu_.value);
  static constexpr std::pair<std::string_view, Lvt> kVectors[] = {
      {"LVT0", kLvtLint0},   {"LVT1", kLvtLint1},      {"LVTPC", kLvtPerformance},
      {"LVTERR", kLvtError}, {"LVTTHMR", kLvtThermal}, {"LVTT", kLvtTimer}};
  for (const auto& [name, entry] : kVectors) {
    text += fmt::format("{}\t 0x{:08x} {}", name, state_.lvt[entry], line_of(state_.lvt[entry]));
    text += entry == kLvtTimer ? fmt::format(" {}\n", timer_mode(state_.lvt[entry])) : "\n";
  }
  text += fmt::format("Timer\t DCR=0x{:x} (divide by {}) initial_count = {} current_count = {}\n",
                      timer_.divide(), divisor(timer_.divide()), timer_.initial_count(),
                      timer_.current_count());
  text += fmt::format("SPIV\t 0x{:08x} APIC {}, focus={}, spurious vec {}\n", state_.spurious,
                      software_enabled() ? "enabled" : "disabled",
                      (state_.spurious & 0x200) != 0 ? "on" : "off", state_.spurious & 0xff);
  static constexpr std::string_view kShorthands[] = {"no-shorthand", "self", "all-self", "all"};
  text += fmt::format("ICR\t 0x{:08x} {} {} {} {}\n", state_.command & 0xffffffff,
                      (state_.command >> 11 & 1) != 0 ? "logical" : "physical",
                      (state_.command >> 15 & 1) != 0 ? "level" : "edge",
                      (state_.command >> 14 & 1) != 0 ? "assert" : "de-assert",
                      kShorthands[state_.command >> 18 & 3]);
  text +=
      fmt::format("ICR2\t 0x{:08x}\nESR\t 0x{:08x}\n", state_.command >> 32, state_.error_status);
  text += fmt::format("ISR\t {}\nIRR\t {}\n\n", numbers_in(state_.in_service),
                      numbers_in(state_.request));
  text += fmt::format("APR 0x00 TPR 0x{:02x} DFR 0x{:08x} LDR 0x{:08x} PPR 0x{:02x}\n",
                      state_.task_priority, state_.destination_format, logical_id(),
                      processor_priority());
  return text + fmt::format("APICBASE 0x{:x} {}\n", state_.base,
                            !enabled() ? "disabled"
                            : x2apic() ? "x2APIC"
                                       : "xAPIC");
}

std::string IoApic::describe() const {
  std::string text =
      fmt::format("ioapic0: ver=0x20 id=0x{:02x} sel=0x{:02x}\n", state_.id >> 24, state_.select);
  for (unsigned pin = 0; pin < kPins; ++pin) {
    const std::uint64_t entry = state_.entry[pin];
    text += fmt::format("  pin {:<2} 0x{:016x} dest={} {:<8} {}{}\n", pin, entry, entry >> 56,
                        (entry >> 11 & 1) != 0 ? "logical" : "physical", line_of(entry),
                        (entry >> 14 & 1) != 0 ? " remote-irr" : "");
  }
  std::string asserted;
  for (unsigned pin = 0; pin < kPins; ++pin) {
    if ((state_.pins >> pin & 1) != 0) asserted += fmt::format("{} ", pin);
  }
  return text + fmt::format("  IRR      {}\n", asserted.empty() ? "(none)" : asserted);
}

std::string Pic8259::describe() const {
  return fmt::format(
      "irr={:02x} imr={:02x} isr={:02x} hprio={} irq_base={:02x} rr_sel={} elcr={:02x} fnm={}\n",
      state_.request, state_.mask, state_.service, state_.first, state_.vector_base,
      state_.read_service, state_.level_triggered, state_.fully_nested_special);
}

std::string PicPair::describe() const {
  return "pic1: " + slave_.describe() + "pic0: " + master_.describe();
}

}  // namespace ringside::machine
