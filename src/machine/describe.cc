// The interrupt controllers in words, for `monitor info lapic` and its like, after the layout that
// QEMU gave them. Looking changes nothing.
#include <fmt/format.h>

#include <array>
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

// Of a local vector or a redirection entry, whose low bits are laid out alike (SDM 3A 11.5.1).
std::string pin_of(std::uint64_t value) {
  return fmt::format("{} {:<5} {:<6}", (value >> 13 & 1) != 0 ? "active-lo" : "active-hi",
                     (value >> 15 & 1) != 0 ? "level" : "edge",
                     (value >> 16 & 1) != 0 ? "masked" : "");
}

std::string local_vector(std::uint32_t value, std::string_view timer_mode) {
  std::string text =
      fmt::format("0x{:08x} {} {:<7} {:<12} {:<6}", value, pin_of(value),
                  (value >> 12 & 1) != 0 ? "pending" : "", timer_mode, delivery(value));
  if (has_vector(value)) text += fmt::format(" (vec {})", value & 0xff);
  return text;
}

// Of an interrupt command without a shorthand.
std::string destination(std::uint64_t command, bool x2apic) {
  const std::uint64_t id = x2apic ? command >> 32 : command >> 56;
  if ((command >> 11 & 1) != 0) return fmt::format(" mask 0x{:x} (APIC IDs)", id);
  return fmt::format(" cpu {} ({})", id, x2apic ? "X2APIC ID" : "APIC ID");
}

std::string pins_in(std::uint32_t bits) {
  std::string text;
  for (unsigned pin = 0; pin < IoApic::kPins; ++pin) {
    if ((bits >> pin & 1) != 0) text += fmt::format("{} ", pin);
  }
  return text.empty() ? "(none)" : text;
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
  std::string text = fmt::format("dumping local APIC state for CPU {:<2}\n\n", vcpu_.value);
  static constexpr std::pair<std::string_view, Lvt> kVectors[] = {
      {"LVT0", kLvtLint0},   {"LVT1", kLvtLint1},      {"LVTPC", kLvtPerformance},
      {"LVTERR", kLvtError}, {"LVTTHMR", kLvtThermal}, {"LVTT", kLvtTimer}};
  for (const auto& [name, entry] : kVectors) {
    const std::uint32_t vector = state_.lvt[entry];
    text += fmt::format("{}\t {}\n", name,
                        local_vector(vector, entry == kLvtTimer ? timer_mode(vector) : ""));
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
  text += fmt::format("ICR2\t 0x{:08x}", state_.command >> 32);
  if ((state_.command >> 18 & 3) == 0) text += destination(state_.command, x2apic());
  text += fmt::format("\nESR\t 0x{:08x}\n", state_.error_status);
  text += fmt::format("ISR\t {}\nIRR\t {}\n\n", numbers_in(state_.in_service),
                      numbers_in(state_.request));
  text += fmt::format("APR 0x00 TPR 0x{:02x} DFR 0x{:02x} LDR 0x{:02x} PPR 0x{:02x}\n",
                      state_.task_priority, state_.destination_format >> 28,
                      x2apic() ? logical_id() : logical_id() >> 24, processor_priority());
  return text + fmt::format("APICBASE 0x{:x} {}\n", state_.base,
                            !enabled() ? "disabled"
                            : x2apic() ? "x2APIC"
                                       : "xAPIC");
}

std::string IoApic::describe() const {
  std::string text =
      fmt::format("ioapic0: ver=0x20 id=0x{:02x} sel=0x{:02x}\n", state_.id >> 24, state_.select);
  static constexpr std::string_view kModes[] = {"fixed", "lowest", "SMI", "...",
                                                "NMI",   "INIT",   "...", "extINT"};
  std::uint32_t remote = 0;
  for (unsigned pin = 0; pin < kPins; ++pin) {
    const std::uint64_t entry = state_.entry[pin];
    remote |= static_cast<std::uint32_t>(entry >> 14 & 1) << pin;
    text += fmt::format("  pin {:<2} 0x{:016x} dest={:x} vec={:<3} {} {:<6} {}\n", pin, entry,
                        entry >> 56, entry & 0xff, pin_of(entry), kModes[entry >> 8 & 7],
                        (entry >> 11 & 1) != 0 ? "logical" : "physical");
  }
  return text +
         fmt::format("  IRR      {}\n  Remote IRR {}\n", pins_in(state_.pins), pins_in(remote));
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
