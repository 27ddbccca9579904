// A call of the client's system by the target, of which ringside needs one alone: to know what the
// client has read. It answers in the order of what it was sent, also while it waits for a stop. GDB
// manual, "File-I/O Remote Protocol Extension". Pure values, any thread.
#pragma once

#include <optional>
#include <string_view>

namespace ringside::rsp {

// Is its standard output a terminal? The answer is of no interest.
inline constexpr std::string_view kCall = "Fisatty,1";

enum class CallResult {
  Returned,
  Interrupted,  // the user has interrupted the guest, which is told in this way then ("The Ctrl-C
                // Message")
};

// Fretcode[,errno[,C]]; nothing for another packet.
std::optional<CallResult> parse_call_result(std::string_view payload);

}  // namespace ringside::rsp
