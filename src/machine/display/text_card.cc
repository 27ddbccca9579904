#include "machine/display/text_card.h"

#include <algorithm>

namespace ringside::machine {
namespace {

constexpr std::uint16_t kAttribute = 0x3c0, kAttributeRead = 0x3c1, kMiscWrite = 0x3c2,
                        kSequencerIndex = 0x3c4, kSequencerData = 0x3c5, kPaletteMask = 0x3c6,
                        kPaletteRead = 0x3c7, kPaletteWrite = 0x3c8, kPaletteData = 0x3c9,
                        kFeatureRead = 0x3ca, kMiscRead = 0x3cc, kGraphicsIndex = 0x3ce,
                        kGraphicsData = 0x3cf, kCrtcIndex = 0x3d4, kCrtcData = 0x3d5,
                        kStatus = 0x3da;

// CRT controller.
constexpr unsigned kColumnsLessOne = 0x01, kOverflow = 0x07, kRowHeight = 0x09, kCursorFirst = 0x0a,
                   kCursorLast = 0x0b, kStartHigh = 0x0c, kStartLow = 0x0d, kCursorHigh = 0x0e,
                   kCursorLow = 0x0f, kLinesLessOne = 0x12, kOffset = 0x13, kRetraceEnd = 0x11;
constexpr std::uint8_t kProtected = 0x80;  // of kRetraceEnd: registers 0 to 7 keep their values
constexpr std::uint8_t kCursorOff = 0x20;  // of kCursorFirst
constexpr unsigned kGraphicsMisc = 0x06;   // of the graphics controller; bit 0: no text
constexpr std::uint8_t kIsColour = 1;      // of the miscellaneous register: the ports are at 0x3dX

// 80 by 25 characters of 9 by 16 dots, in colour (the reference's table of mode 3+).
constexpr std::array<std::uint8_t, 25> kTextCrtc = {
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
    0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
constexpr std::array<std::uint8_t, 5> kTextSequencer = {0x03, 0x00, 0x03, 0x00, 0x02};
constexpr std::array<std::uint8_t, 9> kTextGraphics = {0x00, 0x00, 0x00, 0x00, 0x00,
                                                       0x10, 0x0e, 0x00, 0xff};
constexpr std::array<std::uint8_t, 21> kTextAttributes = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                                          0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
                                                          0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};
constexpr std::uint8_t kTextMisc = 0x67;

constexpr std::uint8_t kAttributeIndexBits = 0x1f, kPaletteSource = 0x20;

// A frame of mode 3+ has 449 lines at 70.087 Hz, 400 of them with a picture.
constexpr std::uint64_t kLineNs = 31778, kLines = 449, kShownLines = 400;
// Of a line, the part between two pictures.
constexpr std::uint64_t kShownLineNs = 25422;
constexpr std::uint64_t kRetraceFirst = 412, kRetraceAfter = 414;

// The palette's first 64 entries in text modes: two bits of each colour.
void fill_palette(std::array<std::uint8_t, 768>& palette) {
  for (unsigned entry = 0; entry < 64; ++entry) {
    const auto level = [entry](unsigned high, unsigned low) {
      return static_cast<std::uint8_t>((entry >> high & 1) * 0x2a + (entry >> low & 1) * 0x15);
    };
    palette[3 * entry] = level(2, 5);
    palette[3 * entry + 1] = level(1, 4);
    palette[3 * entry + 2] = level(0, 3);
  }
}

unsigned word(std::uint8_t high, std::uint8_t low) { return unsigned{high} << 8 | low; }

}  // namespace

TextCard::TextCard(const hypervisor::CpuPort& cpus, PowerOn power_on)
    : cpus_(cpus), power_on_(power_on) {
  TextCard::reset();
}

void TextCard::reset() {
  state_ = State{};
  if (power_on_ == PowerOn::Blank) return;
  state_.crtc = kTextCrtc;
  state_.sequencer = kTextSequencer;
  state_.graphics = kTextGraphics;
  state_.attributes = kTextAttributes;
  state_.attribute_index = kPaletteSource;
  state_.misc = kTextMisc;
  fill_palette(state_.palette);
}

void TextCard::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  visitor.expect(state_.palette_component < 3);
}

TextScreen TextCard::screen() const {
  TextScreen screen;
  const auto& crtc = state_.crtc;
  screen.is_text = (state_.graphics[kGraphicsMisc] & 1) == 0;
  screen.columns = std::min(crtc[kColumnsLessOne] + 1u, TextScreen::kMostColumns);
  const unsigned lines =
      (crtc[kLinesLessOne] | (crtc[kOverflow] & 2u) << 7 | (crtc[kOverflow] & 0x40u) << 3) + 1;
  screen.rows = std::min(lines / ((crtc[kRowHeight] & 0x1fu) + 1), TextScreen::kMostRows);
  screen.pitch = crtc[kOffset] * 2u;
  screen.start = word(crtc[kStartHigh], crtc[kStartLow]) % TextScreen::kCells;
  screen.cursor = word(crtc[kCursorHigh], crtc[kCursorLow]) % TextScreen::kCells;
  screen.has_cursor = (crtc[kCursorFirst] & kCursorOff) == 0 &&
                      (crtc[kCursorFirst] & 0x1f) <= (crtc[kCursorLast] & 0x1f);
  // A card whose mode nobody has set shows nothing.
  if ((state_.misc & kIsColour) == 0) screen.columns = screen.rows = 0;
  return screen;
}

// Bit 0: no picture is being drawn at this moment; bit 3: a retrace from bottom to top.
std::uint8_t TextCard::input_status() const {
  const std::uint64_t in_frame = cpus_.now().ns % (kLineNs * kLines);
  const std::uint64_t line = in_frame / kLineNs;
  const bool shown = line < kShownLines && in_frame % kLineNs < kShownLineNs;
  const bool retrace = line >= kRetraceFirst && line < kRetraceAfter;
  return static_cast<std::uint8_t>((shown ? 0 : 1) | (retrace ? 8 : 0));
}

std::uint8_t TextCard::peek_port(std::uint16_t port) const {
  const auto at = [](const auto& registers, std::uint8_t index) {
    return index < registers.size() ? registers[index] : std::uint8_t{0};
  };
  if (port >= 0x3d0 && (state_.misc & kIsColour) == 0) return 0xff;
  switch (port) {
    case kAttribute:
      return state_.attribute_index;
    case kAttributeRead:
      return at(state_.attributes, state_.attribute_index & kAttributeIndexBits);
    case kMiscWrite:  // input status 0: the sense of the monitor's lines
      return 0x10;
    case kSequencerIndex:
      return state_.sequencer_index;
    case kSequencerData:
      return at(state_.sequencer, state_.sequencer_index);
    case kPaletteMask:
      return state_.palette_mask;
    case kPaletteRead:
      return state_.palette_reads != 0 ? 3 : 0;
    case kPaletteWrite:
      return state_.palette_write_index;
    case kPaletteData:
      return state_.palette[3 * state_.palette_read_index + state_.palette_component];
    case kFeatureRead:
      return state_.feature;
    case kMiscRead:
      return state_.misc;
    case kGraphicsIndex:
      return state_.graphics_index;
    case kGraphicsData:
      return at(state_.graphics, state_.graphics_index);
    case kCrtcIndex:
      return state_.crtc_index;
    case kCrtcData:
      return at(state_.crtc, state_.crtc_index);
    case kStatus:
      return input_status();
    default:
      return 0xff;
  }
}

std::uint8_t TextCard::read_port(std::uint16_t port) {
  const std::uint8_t value = peek_port(port);
  if (port == kPaletteData) next_component(state_.palette_read_index);
  if (port == kStatus) state_.attribute_takes_value = 0;
  return value;
}

void TextCard::next_component(std::uint8_t& index) {
  if (++state_.palette_component < 3) return;
  state_.palette_component = 0;
  ++index;
}

void TextCard::write_attribute(std::uint8_t value) {
  const unsigned index = state_.attribute_index & kAttributeIndexBits;
  if (state_.attribute_takes_value == 0) {
    state_.attribute_index = value & (kAttributeIndexBits | kPaletteSource);
  } else if (index < kAttributes) {
    state_.attributes[index] = value;
  }
  state_.attribute_takes_value ^= 1;
}

void TextCard::write_port(std::uint16_t port, std::uint8_t value) {
  const auto set = [value](auto& registers, std::uint8_t index) {
    if (index < registers.size()) registers[index] = value;
  };
  if (port >= 0x3d0 && (state_.misc & kIsColour) == 0) return;
  switch (port) {
    case kAttribute:
      write_attribute(value);
      break;
    case kMiscWrite:
      state_.misc = value;
      break;
    case kSequencerIndex:
      state_.sequencer_index = value;
      break;
    case kSequencerData:
      set(state_.sequencer, state_.sequencer_index);
      break;
    case kPaletteMask:
      state_.palette_mask = value;
      break;
    case kPaletteRead:
    case kPaletteWrite:
      state_.palette_reads = port == kPaletteRead;
      (port == kPaletteRead ? state_.palette_read_index : state_.palette_write_index) = value;
      state_.palette_component = 0;
      break;
    case kPaletteData:
      state_.palette[3 * state_.palette_write_index + state_.palette_component] = value & 0x3f;
      next_component(state_.palette_write_index);
      break;
    case kGraphicsIndex:
      state_.graphics_index = value;
      break;
    case kGraphicsData:
      set(state_.graphics, state_.graphics_index);
      break;
    case kCrtcIndex:
      state_.crtc_index = value;
      break;
    case kCrtcData:
      // Of the protected ones, only a bit of the overflow register can be set still.
      if (state_.crtc_index <= kOverflow && (state_.crtc[kRetraceEnd] & kProtected) != 0) {
        if (state_.crtc_index == kOverflow) {
          auto& overflow = state_.crtc[kOverflow];
          overflow = static_cast<std::uint8_t>((overflow & ~0x10) | (value & 0x10));
        }
        break;
      }
      set(state_.crtc, state_.crtc_index);
      break;
    case kStatus:  // the feature control register, when written
      state_.feature = value;
      break;
    default:
      break;
  }
}

}  // namespace ringside::machine
