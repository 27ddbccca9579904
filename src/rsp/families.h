// The parsers of the packet families, for request.cc only. Each gets a payload whose first letter
// (for q, Q and v: whose family) is its own.
#pragma once

#include <string_view>

#include "rsp/request.h"

namespace ringside::rsp {

Request parse_registers(std::string_view payload);
Request parse_memory(std::string_view payload);
Request parse_resume(std::string_view payload);
Request parse_breakpoint(std::string_view payload);
Request parse_thread(std::string_view payload);
Request parse_session(std::string_view payload);
// _…, j…, MultiMemRead, and LLDB's of the following; Unknown where it is none of them.
Request parse_lldb(std::string_view payload);

// q…, Q… and v…: Unknown where the name is not of the family.
Request parse_memory_query(std::string_view payload);
Request parse_resume_query(std::string_view payload);
Request parse_thread_query(std::string_view payload);
Request parse_session_query(std::string_view payload);
Request parse_transfer(std::string_view payload);
Request parse_monitor(std::string_view payload);
Request parse_qemu(std::string_view payload);
Request parse_trace(std::string_view payload);
Request parse_trace_query(std::string_view payload);

}  // namespace ringside::rsp
