// Cores of the guest: the monitor command `dump-guest-memory`, and --dump-on-panic.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "guests/core/core_writer.h"
#include "ringside/options.h"

namespace ringside::cli {

// Where a core goes.
struct DumpPlace {
  Folder& folder;
  std::string name;
};

Result<std::unique_ptr<guests::CoreWriter>> begin_dump(const DumpPlace& place,
                                                       guests::CoreSubject subject);
// All of it at once. Says on stderr now and then how far it is, and at the end what it has become.
// `interruption`: what somebody has sent to end the process meanwhile; empty while nobody has.
Result<void> dump(const DumpPlace& place, guests::CoreSubject subject,
                  const std::function<std::string_view()>& interruption);

// `subject`: made anew for each dump. `folder`: that of a debugger's files.
debug::MonitorCommand dump_command(std::function<guests::CoreSubject()> subject, Folder& folder);

}  // namespace ringside::cli
