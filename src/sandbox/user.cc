#include "sandbox/user.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace ringside::sandbox {
namespace {

struct User {
  uid_t user = 0;
  gid_t group = 0;
};

Result<User> find(const std::string& name) {
  std::array<char, 16384> room;
  passwd entry{};
  passwd* found = nullptr;
  const int problem = ::getpwnam_r(name.c_str(), &entry, room.data(), room.size(), &found);
  if (problem != 0)
    return fail(Error::from_errno("--user: cannot look up '" + name + "'", problem));
  if (found == nullptr)
    return fail(ErrorCode::NotFound, fmt::format("--user: there is no user '{}'", name));
  return User{entry.pw_uid, entry.pw_gid};
}

}  // namespace

bool runs_as_root() { return ::geteuid() == 0; }

Result<void> check_user(const std::string& name) {
  const User user = TRY(find(name));
  if (runs_as_root() || user.user == ::geteuid()) return {};
  return fail(ErrorCode::NotSupported,
              fmt::format("--user: only root can hand its rights down to '{}'", name));
}

// Groups first: who is no longer root cannot change them. glibc does all of it on every thread.
Result<void> become(const std::string& name) {
  const User user = TRY(find(name));
  if (!runs_as_root()) return {};
  const auto failed = [&](const char* what) {
    return fail(
        Error::from_errno(fmt::format("--user: cannot become '{}': {}", name, what), errno));
  };
  if (::initgroups(name.c_str(), user.group) != 0) return failed("initgroups");
  if (::setresgid(user.group, user.group, user.group) != 0) return failed("setresgid");
  if (::setresuid(user.user, user.user, user.user) != 0) return failed("setresuid");
  if (user.user != 0 && ::setresuid(0, 0, 0) == 0)
    return fail(ErrorCode::System, fmt::format("--user: '{}' can become root again", name));
  return {};
}

}  // namespace ringside::sandbox
