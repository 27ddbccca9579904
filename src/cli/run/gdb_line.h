// The command that attaches GDB, as it is typed in another terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ringside::cli {

// What it names of the host's files. Looked at before the process gives up its rights.
struct GdbFiles {
  std::string directory;  // that relative names begin in
  std::string symbols;    // of the guest; empty: there are none
  std::string scripts;    // the kernel tree whose commands for GDB are beside them, or empty
};
GdbFiles gdb_files(const std::string& symbols);

// `where`: an endpoint as DebugEndpoint::where() says it. Nothing where GDB cannot connect: nobody
// listens, or at a place that its command cannot name. A pure function.
std::optional<std::string> gdb_line(std::string_view where, const GdbFiles& files);

// As a shell reads it: one word, whatever is in it.
std::string shell_word(std::string_view text);

}  // namespace ringside::cli
