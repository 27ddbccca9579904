// Draws pictures on a terminal that knows the control sequences of ECMA-48 and a DEC VT100: the
// guest's screen in the upper left corner, and below it a part of its own for messages, in which
// the terminal's cursor stays. Of a screen that is too large, a part is drawn. The guest's cursor
// is a cell in reverse. Has no terminal itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "screen/picture.h"

namespace ringside::screen {

// At least one row and one column.
struct TerminalSize {
  unsigned rows = 0, columns = 0;
  friend bool operator==(const TerminalSize&, const TerminalSize&) = default;
};

// The whole terminal scrolls again, and writes in its usual colours, where its cursor is.
inline constexpr std::string_view kGiveBack =
    "\x1b[0m\x1b"
    "7\x1b[r\x1b"
    "8";

class Painter {
 public:
  // What makes the terminal show `whole` after the last one: nothing if that is the same. A
  // terminal whose size is unknown is large enough.
  std::string paint(const Picture& whole, std::optional<TerminalSize> terminal = std::nullopt);
  // Somebody else may have drawn on the terminal: the next picture is drawn anew.
  void forget() { shown_.reset(); }
  // What gives the whole terminal back, with the cursor below the picture.
  std::string leave();

 private:
  std::string begin(const Picture& picture);

  std::optional<Picture> shown_;
  std::optional<TerminalSize> terminal_;
};

}  // namespace ringside::screen
