#include "machine/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "machine/interrupts/io_apic.h"
#include "machine/interrupts/local_apic.h"
#include "machine/interrupts/pic.h"

namespace ringside::machine {
namespace {

using hypervisor::IoApicImage;
using hypervisor::LocalApicImage;
using hypervisor::PicImage;
using hypervisor::PicPairImage;
namespace apic = x86::apic;

constexpr std::string_view kDeliveryModes[] = {"Fixed", "LowPri", "SMI",  "...",
                                               "NMI",   "INIT",   "SIPI", "ExtINT"};

std::string_view delivery(std::uint64_t value) {
  return kDeliveryModes[static_cast<unsigned>(apic::delivery_mode_of(value))];
}
bool has_vector(std::uint64_t value) {
  const DeliveryMode mode = apic::delivery_mode_of(value);
  return mode == DeliveryMode::Fixed || mode == DeliveryMode::LowestPriority ||
         mode == DeliveryMode::ExtInt;
}
bool is_logical(std::uint64_t value) {
  return apic::destination_mode_of(value) == DestinationMode::Logical;
}
std::string_view trigger(std::uint64_t value) {
  return apic::trigger_mode_of(value) == TriggerMode::Level ? "level" : "edge";
}

// Of a local vector or a redirection entry, whose low bits are laid out alike (SDM 3A 11.5.1).
std::string pin_of(std::uint64_t value) {
  return fmt::format("{} {:<5} {:<6}", (value & apic::kActiveLow) != 0 ? "active-lo" : "active-hi",
                     trigger(value), (value & apic::kMasked) != 0 ? "masked" : "");
}

std::string local_vector(std::uint32_t value, std::string_view timer_mode) {
  std::string text = fmt::format("0x{:08x} {} {:<7} {:<12} {:<6}", value, pin_of(value),
                                 (value & apic::kDeliveryPending) != 0 ? "pending" : "", timer_mode,
                                 delivery(value));
  if (has_vector(value)) text += fmt::format(" (vec {})", apic::vector_of(value));
  return text;
}

// Of an interrupt command without a shorthand.
std::string destination(std::uint64_t command, bool x2apic) {
  const std::uint64_t id = x2apic ? command >> 32 : command >> 56;
  if (is_logical(command)) return fmt::format(" mask 0x{:x} (APIC IDs)", id);
  return fmt::format(" cpu {} ({})", id, x2apic ? "X2APIC ID" : "APIC ID");
}

std::string pins_in(std::uint32_t bits) {
  std::string text;
  for (unsigned pin = 0; pin < IoApicImage::kPins; ++pin) {
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
  return kModes[apic::timer_mode_bits(lvt)];
}

std::string describe(const PicImage& pic) {
  return fmt::format(
      "irr={:02x} imr={:02x} isr={:02x} hprio={} irq_base={:02x} rr_sel={} elcr={:02x} fnm={}\n",
      pic.request, pic.mask, pic.service, pic.first, pic.vector_base, pic.read_service,
      pic.level_triggered, pic.fully_nested_special);
}

}  // namespace

// ---- Images of the machine's own

LocalApicImage LocalApic::image() const {
  LocalApicImage image;
  image.vcpu = vcpu_;
  image.base = state_.base;
  image.command = state_.command;
  image.in_service = state_.in_service;
  image.request = state_.request;
  image.lvt = state_.lvt;
  image.logical_id = logical_id();
  image.destination_format = state_.destination_format;
  image.spurious = state_.spurious;
  image.error_status = state_.error_status;
  image.divide = timer_.divide();
  image.initial_count = timer_.initial_count();
  image.current_count = timer_.current_count();
  image.task_priority = state_.task_priority;
  image.processor_priority = processor_priority();
  return image;
}

IoApicImage IoApic::image() const {
  IoApicImage image;
  image.entry = state_.entry;
  image.pins = state_.pins;
  image.select = state_.select;
  image.id = static_cast<std::uint8_t>(state_.id);
  image.version = 0x20;
  return image;
}

PicImage Pic8259::image() const {
  PicImage image;
  image.request = state_.request;
  image.mask = state_.mask;
  image.service = state_.service;
  image.level_triggered = state_.level_triggered;
  image.vector_base = state_.vector_base;
  image.read_service = state_.read_service;
  image.fully_nested_special = state_.fully_nested_special;
  image.first = state_.first;
  return image;
}

// ---- In words

std::string describe(const LocalApicImage& image) {
  const bool x2apic = (image.base & apic::kBaseX2apic) != 0;
  std::string text = fmt::format("dumping local APIC state for CPU {:<2}\n\n", image.vcpu.value);
  static constexpr std::pair<std::string_view, apic::LocalVector> kVectors[] = {
      {"LVT0", apic::kLvtLint0},   {"LVT1", apic::kLvtLint1},      {"LVTPC", apic::kLvtPerformance},
      {"LVTERR", apic::kLvtError}, {"LVTTHMR", apic::kLvtThermal}, {"LVTT", apic::kLvtTimer}};
  for (const auto& [name, entry] : kVectors) {
    const std::uint32_t vector = image.lvt[entry];
    text += fmt::format("{}\t {}\n", name,
                        local_vector(vector, entry == apic::kLvtTimer ? timer_mode(vector) : ""));
  }
  text += fmt::format("Timer\t DCR=0x{:x} (divide by {}) initial_count = {} current_count = {}\n",
                      image.divide, 1u << apic::divide_shift(image.divide), image.initial_count,
                      image.current_count);
  text += fmt::format("SPIV\t 0x{:08x} APIC {}, focus={}, spurious vec {}\n", image.spurious,
                      (image.spurious & apic::kSoftwareEnable) != 0 ? "enabled" : "disabled",
                      (image.spurious & apic::kFocusCheckingOff) != 0 ? "on" : "off",
                      apic::vector_of(image.spurious));
  static constexpr std::string_view kShorthands[] = {"no-shorthand", "self", "all-self", "all"};
  text += fmt::format("ICR\t 0x{:08x} {} {} {} {}\n", image.command & 0xffffffff,
                      is_logical(image.command) ? "logical" : "physical", trigger(image.command),
                      (image.command & apic::kCommandAssert) != 0 ? "assert" : "de-assert",
                      kShorthands[static_cast<unsigned>(apic::shorthand_of(image.command))]);
  text += fmt::format("ICR2\t 0x{:08x}", image.command >> 32);
  if (apic::shorthand_of(image.command) == apic::Shorthand::None)
    text += destination(image.command, x2apic);
  text += fmt::format("\nESR\t 0x{:08x}\n", image.error_status);
  text += fmt::format("ISR\t {}\nIRR\t {}\n\n", numbers_in(image.in_service),
                      numbers_in(image.request));
  text += fmt::format("APR 0x00 TPR 0x{:02x} DFR 0x{:02x} LDR 0x{:02x} PPR 0x{:02x}\n",
                      image.task_priority, image.destination_format >> 28,
                      x2apic ? image.logical_id : image.logical_id >> 24, image.processor_priority);
  return text + fmt::format("APICBASE 0x{:x} {}\n", image.base,
                            (image.base & apic::kBaseEnable) == 0 ? "disabled"
                            : x2apic                              ? "x2APIC"
                                                                  : "xAPIC");
}

std::string describe(const IoApicImage& image) {
  std::string text = fmt::format("ioapic0: ver=0x{:02x} id=0x{:02x} sel=0x{:02x}\n", image.version,
                                 image.id, image.select);
  static constexpr std::string_view kModes[] = {"fixed", "lowest", "SMI", "...",
                                                "NMI",   "INIT",   "...", "extINT"};
  std::uint32_t remote = 0;
  for (unsigned pin = 0; pin < IoApicImage::kPins; ++pin) {
    const std::uint64_t entry = image.entry[pin];
    remote |= std::uint32_t{(entry & apic::kRemoteIrr) != 0} << pin;
    text += fmt::format("  pin {:<2} 0x{:016x} dest={:x} vec={:<3} {} {:<6} {}\n", pin, entry,
                        entry >> 56, apic::vector_of(entry), pin_of(entry),
                        kModes[static_cast<unsigned>(apic::delivery_mode_of(entry))],
                        is_logical(entry) ? "logical" : "physical");
  }
  return text +
         fmt::format("  IRR      {}\n  Remote IRR {}\n", pins_in(image.pins), pins_in(remote));
}

std::string describe(const PicPairImage& pics) {
  return "pic1: " + describe(pics.slave) + "pic0: " + describe(pics.master);
}

std::vector<MapEntry> without_overlaps(const std::vector<MapEntry>& entries) {
  std::vector<MapEntry> seen;
  for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
    std::vector<MapEntry> pieces{*entry};
    for (auto before = entries.begin(); before != entry; ++before) {
      const std::uint64_t from = before->base, to = before->base + before->size;
      for (MapEntry& piece : std::exchange(pieces, {})) {
        const std::uint64_t end = piece.base + piece.size;
        const std::uint64_t first_end = std::min(end, from), second = std::max(piece.base, to);
        if (piece.base < first_end)
          pieces.push_back({piece.base, first_end - piece.base, piece.kind, piece.name});
        if (second < end) pieces.push_back({second, end - second, piece.kind, piece.name});
      }
    }
    seen.insert(seen.end(), pieces.begin(), pieces.end());
  }
  return seen;
}

std::string describe(std::vector<MapEntry> entries, unsigned digits) {
  std::ranges::stable_sort(entries, {}, &MapEntry::base);
  std::string text;
  for (const MapEntry& entry : entries) {
    text +=
        fmt::format("  {:0{}x}-{:0{}x} ({}){}\n", entry.base, digits, entry.base + entry.size - 1,
                    digits, entry.kind, entry.name.empty() ? "" : ": " + entry.name);
  }
  return text;
}

std::string describe(const std::vector<DeviceEntry>& devices) {
  std::string text = "bus: main-system-bus\n";
  for (const DeviceEntry& device : devices) {
    text += fmt::format("  dev: {}\n    {}", device.label.name, device.places);
    if (device.label.line) text += fmt::format(", irq {}", *device.label.line);
    text += '\n';
  }
  return text;
}

std::uint8_t peek(const PicPairImage& pics, std::uint16_t port) {
  if (port == PicPair::kEdgeLevel) return pics.master.level_triggered & 0xf8;
  if (port == PicPair::kEdgeLevel + 1) return pics.slave.level_triggered;
  const PicImage& pic = port < PicPair::kSlave ? pics.master : pics.slave;
  if ((port & 1) != 0) return pic.mask;
  return pic.read_service != 0 ? pic.service : pic.request;
}

}  // namespace ringside::machine
