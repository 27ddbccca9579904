#include "sandbox/sandbox.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "sandbox/landlock.h"

namespace ringside::sandbox {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

// Empty: it can be entered.
std::string try_out() {
  const pid_t child = ::fork();
  if (child == 0) {
    const Result<void> entered = enter(Engine::Soft);
    ::_exit(entered ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0 ? "" : "system calls cannot be filtered on this host";
}

}  // namespace

std::string why_none() {
  return kSanitized ? "this build has a sanitizer, which itself needs what would be forbidden" : "";
}

// Landlock first: the filter would forbid its calls.
Result<void> enter(Engine engine) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail(Error::from_errno("PR_SET_NO_NEW_PRIVS", errno));
  if (const Result<void> names = forbid_names(); !names)
    log::info("sandbox: {}; system calls are filtered all the same", names.error().text());
  return allow_only_what_is_needed(engine);
}

std::string describe() {
  std::string why = why_none();
  if (why.empty()) why = try_out();
  if (!why.empty()) return fmt::format("sandbox: none: {}\n", why);
  std::string text =
      "sandbox: system calls are filtered: no new files, sockets, processes, programs or code\n";
  const Result<int> version = landlock_version();
  return text +
         (version ? fmt::format("sandbox: Landlock, version {}: no file is reached by its name\n",
                                *version)
                  : fmt::format("sandbox: no second wall: {}\n", version.error().text()));
}

}  // namespace ringside::sandbox
