#include "sandbox/landlock.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "base/fd.h"

namespace ringside::sandbox {
namespace {

// As linux/landlock.h has it; Debian's of Linux 6.1 lacks what came after version 2.
struct RulesetAttributes {
  std::uint64_t files = 0, network = 0;
};
struct __attribute__((packed)) FilesBelow {
  std::uint64_t permitted = 0;
  std::int32_t folder = -1;
};
constexpr unsigned kAskForVersion = 1;
constexpr int kRuleOfFilesBelow = 1;
constexpr std::uint64_t kConnectTcp = 1 << 1;
// What is done with files. Not among these: to execute them, devices, and calls that devices have.
constexpr std::uint64_t kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadDirectory = 1 << 3,
                        kRemoveDirectory = 1 << 4, kRemoveFile = 1 << 5, kMakeDirectory = 1 << 7,
                        kMakeRegular = 1 << 8, kMakeSocket = 1 << 9, kMakeFifo = 1 << 10,
                        kMakeSymbolicLink = 1 << 12, kRefer = 1 << 13, kTruncate = 1 << 14;
constexpr std::uint64_t kRead = kReadFile | kReadDirectory;
constexpr std::uint64_t kReadAndWrite = kRead | kWriteFile | kRemoveDirectory | kRemoveFile |
                                        kMakeDirectory | kMakeRegular | kMakeSocket | kMakeFifo |
                                        kMakeSymbolicLink | kRefer | kTruncate;

constexpr std::uint64_t bits(unsigned count) { return (std::uint64_t{1} << count) - 1; }

RulesetAttributes all_of(int version) {
  RulesetAttributes attributes{bits(13), 0};
  if (version >= 2) attributes.files = bits(14);  // REFER: links between directories
  if (version >= 3) attributes.files = bits(15);  // TRUNCATE
  if (version >= 4) attributes.network = bits(2);
  if (version >= 5) attributes.files = bits(16);  // IOCTL_DEV
  return attributes;
}

Result<Fd> new_rules(int version, const RulesetAttributes& attributes) {
  // Before version 4 the kernel knows only the first member.
  const std::size_t size = version >= 4 ? sizeof attributes : sizeof attributes.files;
  Fd rules(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!rules) return fail(Error::from_errno("landlock_create_ruleset", errno));
  return rules;
}

Result<void> permit(const Fd& rules, const FilesBelow& below) {
  if (::syscall(SYS_landlock_add_rule, rules.get(), kRuleOfFilesBelow, &below, 0) != 0)
    return fail(Error::from_errno("landlock_add_rule", errno));
  return {};
}

Result<void> enter(const Fd& rules) {
  if (::syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0)
    return fail(Error::from_errno("landlock_restrict_self", errno));
  return {};
}

}  // namespace

Result<int> landlock_version() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kAskForVersion);
  if (version > 0) return static_cast<int>(version);
  if (errno == ENOSYS) return fail(ErrorCode::NotSupported, "this kernel has no Landlock");
  if (errno == EOPNOTSUPP)
    return fail(ErrorCode::NotSupported, "Landlock is switched off (the kernel's option lsm=)");
  return fail(Error::from_errno("Landlock cannot be used", errno));
}

Result<void> forbid_names() {
  const int version = TRY(landlock_version());
  const Fd rules = TRY(new_rules(version, all_of(version)));
  return enter(rules);
}

Result<void> forbid_names_outside(std::span<const std::string> readable_folders) {
  const int version = TRY(landlock_version());
  RulesetAttributes attributes = all_of(version);
  attributes.network &= ~kConnectTcp;
  const Fd rules = TRY(new_rules(version, attributes));
  for (const std::string& path : readable_folders) {
    const Fd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) continue;
    TRY(permit(rules, {kReadFile, folder.get()}));
  }
  return enter(rules);
}

Result<void> forbid_names_but_below(const Fd& folder, Below what) {
  const int version = TRY(landlock_version());
  if (version < 2)
    return fail(ErrorCode::NotSupported, "this kernel's Landlock forbids to move files");
  const RulesetAttributes attributes = all_of(version);
  const Fd rules = TRY(new_rules(version, attributes));
  const std::uint64_t permitted = what == Below::Read ? kRead : kReadAndWrite;
  TRY(permit(rules, {attributes.files & permitted, folder.get()}));
  return enter(rules);
}

}  // namespace ringside::sandbox
