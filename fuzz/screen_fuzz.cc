// A text card as a guest sets it up, with anything in its memory, and keys as anybody types them.
// What a look at a register shows is what a read gives; a saved card is the same card; however it
// is set up, the picture lies in its memory, and a terminal that has it is told nothing more.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "choices.h"
#include "machine/devices/i8042.h"
#include "machine/display/text_card.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/state_bytes.h"
#include "screen/painter.h"
#include "screen/typed_keys.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;
using machine::TextCard;

class Screen {
 public:
  void act(Choices& choices) {
    switch (choices.below(8)) {
      case 0:
        return use_register(choices);
      case 1:
        return read(choices);
      case 2:
        return write_cells(choices);
      case 3:
        cpus_.time = {choices.number<std::uint32_t>()};
        return;
      case 4:
        return look(choices);
      case 5:
        return type(choices);
      case 6:
        return use_keyboard(choices);
      default:
        return save();
    }
  }

 private:
  void use_register(Choices& choices) {
    static constexpr std::uint16_t kIndices[] = {0x3d4, 0x3ce, 0x3c4, 0x3c0};
    const std::uint16_t index = choices.one_of(kIndices);
    card_.write_port(index, choices.number<std::uint8_t>());
    card_.write_port(choices.once_in(4) ? port(choices) : static_cast<std::uint16_t>(index + 1),
                     choices.number<std::uint8_t>());
  }
  static std::uint16_t port(Choices& choices) {
    return static_cast<std::uint16_t>(TextCard::kPort + choices.below(TextCard::kPorts));
  }
  void read(Choices& choices) {
    const std::uint16_t at = port(choices);
    const unsigned shown = card_.peek_port(at);
    check(card_.read_port(at) == shown);
  }
  void write_cells(Choices& choices) {
    std::size_t at = choices.number<std::uint16_t>();
    for (unsigned count = choices.below(64); count > 0; --count)
      memory_[at++ % memory_.size()] = std::byte{choices.number<std::uint8_t>()};
  }
  void look(Choices& choices) {
    const machine::TextScreen screen = card_.screen();
    check(screen.columns <= machine::TextScreen::kMostColumns);
    check(screen.rows <= machine::TextScreen::kMostRows);
    const screen::Picture picture = screen::picture_of(screen, memory_);
    if (picture.is_text) check(picture.cells.size() == std::size_t{screen.rows} * screen.columns);
    if (picture.cursor)
      check(picture.cursor->row < screen.rows && picture.cursor->column < screen.columns);
    std::optional<screen::TerminalSize> terminal;
    if (choices.once_in(2)) terminal = {choices.below(140) + 1, choices.below(260) + 1};
    painter_.paint(picture, terminal);
    check(painter_.paint(picture, terminal).empty());
    if (terminal) {
      const screen::Picture part = screen::part_of(picture, terminal->rows, terminal->columns);
      check(part.cells.size() == std::size_t{part.rows} * part.columns);
      check(!part.cursor || (part.cursor->row < part.rows && part.cursor->column < part.columns));
    }
    const std::string text = screen::text_of(picture);
    check(text.size() <= picture.rows * (3 * std::size_t{picture.columns} + 1));
  }
  // Every key that goes down comes up again.
  void type(Choices& choices) {
    std::vector<std::byte> typed(choices.below(24));
    for (std::byte& byte : typed)
      byte = std::byte{choices.number<std::uint8_t>()};
    std::array<int, 128> held{};
    for (const std::byte byte : screen::scan_codes_of(typed)) {
      const auto code = std::to_integer<unsigned>(byte);
      if (code == 0xe0) continue;
      held[code & 0x7f] += (code & 0x80) != 0 ? -1 : 1;
      check(held[code & 0x7f] == 0 || held[code & 0x7f] == 1);
    }
    for (const int count : held)
      check(count == 0);
    keyboard_.receive(screen::scan_codes_of(typed));
  }
  void use_keyboard(Choices& choices) {
    const std::uint16_t at = choices.once_in(2) ? 0x60 : 0x64;
    if (choices.once_in(2)) {
      const unsigned shown = keyboard_.peek_port(at);
      check(keyboard_.read_port(at) == shown);
    } else {
      keyboard_.write_port(at, choices.number<std::uint8_t>());
    }
    check(keyboard_.room() <= 8);
  }
  void save() {
    TextCard other(cpus_, TextCard::PowerOn::Blank);
    check(machine::testing::load(other, machine::testing::save(card_)));
    check(other.screen() == card_.screen());
  }

  machine::testing::FakeCpuPort cpus_;
  machine::testing::FakeLines lines_;
  machine::SystemControl system_{cpus_};
  machine::I8042 keyboard_{system_, {lines_, 1}};
  TextCard card_{cpus_, TextCard::PowerOn::TextMode};
  std::vector<std::byte> memory_ = std::vector<std::byte>(TextCard::kMemorySize);
  screen::Painter painter_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  Screen screen;
  while (!choices.is_over())
    screen.act(choices);
  return 0;
}
