// A VGA card in text mode, as far as programs without graphics know one (IBM PS/2 Video Subsystem
// Technical Reference, 1992): the registers of CRT controller, sequencer, graphics and attribute
// controllers and the palette keep what is written; input status 1 tells of retraces. The 32 KiB of
// text at kMemory are ordinary guest RAM, which others read; see screen(). Owned by Machine.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "platform/guest_ram.h"
#include "platform/platform.h"

namespace ringside::machine {

// How the card would show its memory: which cells, where the cursor is.
struct TextScreen {
  bool is_text = true;   // else a graphics mode, of which nothing else here is true
  unsigned columns = 0;  // at most kMostColumns
  unsigned rows = 0;     // at most kMostRows
  unsigned start = 0;   // the first cell, counted from the beginning of the memory, modulo its size
  unsigned pitch = 0;   // cells from one row to the next
  unsigned cursor = 0;  // a cell, counted as `start` is
  bool has_cursor = false;

  static constexpr unsigned kMostColumns = 256, kMostRows = 128;
  // A cell is a character (code page 437) and its colours, two bytes.
  static constexpr unsigned kCells = 0x4000;
  friend bool operator==(const TextScreen&, const TextScreen&) = default;
};

class TextCard final : public Device, public BytePorts {
 public:
  static constexpr Gpa kMemory = hypervisor::kTextMemory;
  static constexpr std::uint64_t kMemorySize = hypervisor::kTextMemorySize;
  static constexpr std::uint16_t kPort = 0x3c0, kPorts = 0x20;

  // What is in the registers after power-on: nothing, for firmware that sets a mode itself, or 80
  // by 25 characters, as firmware leaves it.
  enum class PowerOn : std::uint8_t { Blank, TextMode };
  TextCard(const hypervisor::CpuPort& cpus, PowerOn power_on);

  TextScreen screen() const;

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  std::uint8_t read_port(std::uint16_t port) override;
  std::uint8_t peek_port(std::uint16_t port) const override;
  void write_port(std::uint16_t port, std::uint8_t value) override;

 private:
  static constexpr unsigned kCrtc = 25, kSequencer = 5, kGraphics = 9, kAttributes = 21;
  struct State {
    std::array<std::uint8_t, kCrtc> crtc{};
    std::array<std::uint8_t, kSequencer> sequencer{};
    std::array<std::uint8_t, kGraphics> graphics{};
    std::array<std::uint8_t, kAttributes> attributes{};
    std::array<std::uint8_t, 768> palette{};  // red, green, blue, of 6 bits
    std::uint8_t crtc_index = 0, sequencer_index = 0, graphics_index = 0, attribute_index = 0;
    std::uint8_t attribute_takes_value = 0;  // the next write to 0x3c0 is no index
    std::uint8_t misc = 0, feature = 0;
    std::uint8_t palette_mask = 0xff;
    std::uint8_t palette_reads = 0;      // the palette's address was set for reading
    std::uint8_t palette_component = 0;  // 0 to 2
    std::uint8_t palette_read_index = 0, palette_write_index = 0;
  };
  static_assert(std::has_unique_object_representations_v<State>);

  void write_attribute(std::uint8_t value);
  void next_component(std::uint8_t& index);
  std::uint8_t input_status() const;

  const hypervisor::CpuPort& cpus_;
  PowerOn power_on_;
  State state_;
};

}  // namespace ringside::machine
