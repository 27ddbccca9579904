#include "share/serve.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/result.h"
#include "sandbox/landlock.h"
#include "sandbox/system_calls.h"
#include "share/tree.h"
#include "transport/message_stream.h"

namespace ringside::share {
namespace {

// A guest may have open as many files as this process may.
void raise_limit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &files);
}

Result<void> prepare(const Fd& directory, Access access, const sandbox::Rights& rights) {
  // The guest's kernel has taken its process's mask from a mode already.
  ::umask(0);
  // A file that grows beyond what this process may make is the guest's error, as is its going away.
  for (const int number : {SIGXFSZ, SIGPIPE})
    ::signal(number, SIG_IGN);
  raise_limit();
  const auto below =
      access == Access::ReadOnly ? sandbox::Below::Read : sandbox::Below::ReadAndWrite;
  TRY(sandbox::give_up(rights, {[&] { return sandbox::forbid_names_but_below(directory, below); },
                                [&] { return sandbox::allow_only_a_folder(below); }}));
  if (const Outcome<> tried = try_tree(directory); !tried) {
    return fail(Error::from_errno("a folder cannot be shared here, which needs Linux 5.6 and /proc",
                                  tried.error()));
  }
  return {};
}

}  // namespace

void serve(int socket, Fd directory, Access access, const sandbox::Rights& rights) {
  const Result<void> prepared = prepare(directory, access, rights);
  const std::string reason = prepared ? "" : prepared.error().text();
  if (!transport::send_message(socket, std::as_bytes(std::span(reason))) || !prepared) return;
  Server server(std::move(directory), access);
  transport::MessageReader requests;
  bool is_told = false;
  while (const auto request = requests.await(socket)) {
    if (!transport::send_message(socket, server.answer(*request))) return;
    if (is_told || !server.has_lost_directory()) continue;
    is_told = true;
    if (!transport::send_message(socket, {})) return;
  }
}

}  // namespace ringside::share
