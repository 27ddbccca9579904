// Draws pictures on a terminal that knows the control sequences of ECMA-48 and a DEC VT100: the
// guest's screen in the upper left corner, and below it a part of its own for messages, in which
// the terminal's cursor stays. The guest's cursor is a cell in reverse. Has no terminal itself.
#pragma once

#include <string>

#include "screen/picture.h"

namespace ringside::screen {

class Painter {
 public:
  // What makes the terminal show `picture` after the last one: nothing if that is the same.
  std::string paint(const Picture& picture);
  // What gives the whole terminal back, with the cursor below the picture.
  std::string leave();

 private:
  std::string begin(const Picture& picture);

  std::optional<Picture> shown_;
};

}  // namespace ringside::screen
