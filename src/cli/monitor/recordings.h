// What a debugger has recorded of the running guest in files: the monitor commands `profile` and
// `trace`. Each goes on until it is stopped, the machine is reset or ends, or its file is full,
// whether the debugger that began it is still there or not.
//
// Owned by the program; main thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/whole_file.h"
#include "platform/engine.h"
#include "profile/call_trace.h"
#include "profile/guest_code.h"
#include "profile/profiler.h"
#include "ringside/options.h"

namespace ringside::cli {

class Recordings {
 public:
  using CodeSource = std::function<std::unique_ptr<profile::GuestCode>()>;
  // `folder`: that of a debugger's files. `code`: for each recording anew. All outlive it.
  Recordings(hypervisor::Engine& engine, Folder& folder, CodeSource code);
  ~Recordings();

  void add_commands(debug::ServerOptions& server);
  // Both end, and say on stderr what has become of them.
  void end_all(std::string_view why);

 private:
  // A file that is being written, and what was said when it was complete.
  struct Place {
    std::string name;
    std::optional<WholeFile> file;
    std::unique_ptr<profile::GuestCode> code;
    std::string last;  // how the last one ended
  };
  Result<profile::Output> open(Place& place, const std::string& name, FileKind kind,
                               std::uint64_t most);
  Result<std::string> profile(std::string_view arguments);
  Result<std::string> trace(std::string_view arguments);
  std::string end_profile(const Result<std::string>& why);
  std::string end_trace(const Result<std::string>& why);
  std::string describe(Place& place, const Result<std::string>& why, Result<void> finished,
                       const std::string& content);

  hypervisor::Engine& engine_;
  Folder& folder_;
  CodeSource code_;
  Place profile_place_, trace_place_;
  std::unique_ptr<profile::Profiler> profiler_;
  std::unique_ptr<profile::CallTrace> trace_;
};

}  // namespace ringside::cli
