#include "cli/terminal/text_display.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "cli/terminal/terminal.h"
#include "screen/typed_keys.h"

namespace ringside::cli {
namespace {

// Fast enough for who reads and types.
constexpr std::chrono::milliseconds kBetweenLooks{40};
// Typed bytes that are taken at once: enough for a paste, and for a terminal's longest sequence.
constexpr std::size_t kTypedAtOnce = 1024;

using machine::TextCard;

// Of standard output, where that is a terminal, and one that knows. It may change at any time.
std::optional<screen::TerminalSize> terminal_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
    return std::nullopt;
  return screen::TerminalSize{size.ws_row, size.ws_col};
}

}  // namespace

Result<screen::Picture> picture_of(const machine::Machine& machine,
                                   const hypervisor::GuestRam& ram) {
  const std::optional<machine::TextScreen> screen = machine.text_screen();
  const std::uint8_t* const memory = ram.host(TextCard::kMemory, TextCard::kMemorySize);
  if (!screen || memory == nullptr) {
    return fail(ErrorCode::NotFound,
                "the machine was started without a text screen; --vga text gives it one");
  }
  return screen::picture_of(*screen, std::as_bytes(std::span(memory, TextCard::kMemorySize)));
}

TextDisplay::TextDisplay(const machine::Machine& machine, const hypervisor::GuestRam& ram,
                         std::shared_ptr<HostOutput> output, Keyboard keyboard)
    : machine_(machine), ram_(ram), output_(std::move(output)), keyboard_(std::move(keyboard)) {
  draw_on_terminal(true);
}

// The end of the run may come between two looks.
TextDisplay::~TextDisplay() {
  show();
  append(painter_.leave());
  output_->flush();
  draw_on_terminal(false);
}

std::size_t TextDisplay::room() const { return keys_.empty() ? kTypedAtOnce : 0; }

void TextDisplay::type(std::span<const std::byte> typed) {
  const std::vector<std::byte> codes = screen::scan_codes_of(typed);
  keys_.insert(keys_.end(), codes.begin(), codes.end());
}

void TextDisplay::update(Clock::time_point now) {
  const std::size_t count = std::min(keys_.size(), keyboard_.room());
  if (count > 0) {
    const auto end = keys_.begin() + static_cast<std::ptrdiff_t>(count);
    keyboard_.press(std::vector<std::byte>(keys_.begin(), end));
    keys_.erase(keys_.begin(), end);
  }
  if (now < next_look_) return;
  next_look_ = now + kBetweenLooks;
  show();
}

TextDisplay::Clock::duration TextDisplay::time_to_look(Clock::time_point now) const {
  return std::max(next_look_ - now, Clock::duration::zero());
}

// A reader that is slow misses pictures, not parts of one.
void TextDisplay::show() {
  if (output_->full()) return;
  if (terminal_was_left()) painter_.forget();
  const Result<screen::Picture> picture = picture_of(machine_, ram_);
  if (picture) append(painter_.paint(*picture, terminal_size()));
}

void TextDisplay::append(std::string_view text) { output_->append(std::as_bytes(std::span(text))); }

}  // namespace ringside::cli
