// target.xml: the register table in GDB's words. Made once, immutable, any thread.
#pragma once

#include <string_view>

namespace ringside::debug {

std::string_view target_description();

}  // namespace ringside::debug
