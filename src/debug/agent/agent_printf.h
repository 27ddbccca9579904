// The `printf` of agent expressions: a C format applied to 64-bit values, strings read from the
// guest. Only what cannot hurt: no %n, widths and precisions bounded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "debug/agent/bytecode.h"

namespace ringside::debug {

// BadRequest where format and arguments do not fit together.
Result<std::string> agent_printf(std::string_view format, std::span<const std::uint64_t> arguments,
                                 AgentContext& context, std::size_t max_text);

}  // namespace ringside::debug
