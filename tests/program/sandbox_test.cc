// The program in its sandbox (--sandbox on): what the kernel says of the process, and that what is
// wanted after the start works all the same, because another process does it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream = ChildProcess::Stream;

std::string content_of(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// A field of /proc/PID/status.
std::string status_of(pid_t pid, std::string_view field) {
  std::istringstream lines(content_of("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(field)) return line.substr(line.find('\t') + 1);
  }
  return "";
}

std::string answer_of(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {RINGSIDE_PROGRAM};
  command.insert(command.end(), arguments.begin(), arguments.end());
  ChildProcess process(command);
  process.close_input();
  process.await_exit();
  return process.text(Stream::Output) + process.text(Stream::Error);
}

class InTheSandbox : public ::testing::Test {
 protected:
  void SetUp() override {
    if (answer_of({"--probe"}).find("sandbox: none: ") != std::string::npos)
      GTEST_SKIP() << "there is no sandbox in this build or on this host";
  }
};

TEST_F(InTheSandbox, HasAFilterAndNoNewPrivilegesUnlessToldOtherwise) {
  GuestProcess guest("counters", {.start = GuestOptions::Start::Running});
  await_change(guest, guest["counters"], 0);
  EXPECT_EQ(status_of(guest.process().pid(), "Seccomp:"), "2");
  EXPECT_EQ(status_of(guest.process().pid(), "NoNewPrivs:"), "1");
  GuestProcess free("counters",
                    {.start = GuestOptions::Start::Running, .arguments = {"--sandbox", "off"}});
  await_change(free, free["counters"], 0);
  EXPECT_EQ(status_of(free.process().pid(), "Seccomp:"), "0");
  EXPECT_EQ(status_of(free.process().pid(), "NoNewPrivs:"), "0");
}

// As a linker does, and GDB's `run` after it: the kernel is another file now.
TEST_F(InTheSandbox, AResetReadsTheKernelThatIsThereNow) {
  const TemporaryFolder folder;
  const std::string kernel = folder / "kernel";
  std::filesystem::copy_file(GuestImage("counters").path(), kernel);
  ChildProcess ringside({RINGSIDE_PROGRAM, "-s", "none", "-G", "w0", kernel});
  const std::string line = ringside.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  DebugClient client(static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(':') + 1))));
  EXPECT_EQ(client.request("?"), "S05");
  std::filesystem::remove(kernel);
  EXPECT_THAT(monitor(client, "system_reset"), HasSubstr("cannot read kernel '" + kernel + "'"));
  std::filesystem::copy_file(GuestImage("counters").path(), kernel);
  EXPECT_EQ(monitor(client, "system_reset"), "The machine is as at power-on.\n");
}

TEST_F(InTheSandbox, TheFilesOfUnixSocketsGoAtTheEnd) {
  const TemporaryFolder folder;
  const std::string gdb = folder / "gdb", serial = folder / "serial", qmp = folder / "qmp";
  ChildProcess ringside({RINGSIDE_PROGRAM, "-G", "unix:" + gdb, "-s", "unix:" + serial, "--qmp",
                         "unix:" + qmp, GuestImage("counters").path()});
  ringside.await_line(Stream::Error, "serial: listening on");
  ringside.kill(SIGTERM);
  EXPECT_EQ(ringside.await_exit(), 4);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// The keeper goes when the other one does, whatever was its end.
TEST_F(InTheSandbox, TheKeeperEndsWithTheProcess) {
  GuestProcess guest("counters", {.start = GuestOptions::Start::Running});
  await_change(guest, guest["counters"], 0);
  const std::string self = std::to_string(guest.process().pid());
  std::string keeper = content_of("/proc/" + self + "/task/" + self + "/children");
  keeper = keeper.substr(0, keeper.find(' '));
  if (keeper.empty()) GTEST_SKIP() << "this kernel does not list children";
  EXPECT_EQ(content_of("/proc/" + keeper + "/comm"), "ringside-keeper\n");
  guest.process().kill(SIGKILL);
  guest.process().await_exit();
  const Deadline deadline;
  const auto is_there = [&] {
    const std::string state = status_of(std::stoi(keeper), "State:");
    return !state.empty() && state.front() != 'Z';
  };
  while (is_there() && !deadline.passed())
    ::usleep(1000);
  EXPECT_FALSE(is_there());
}

TEST_F(InTheSandbox, AUserTakesRootsPlace) {
  if (::geteuid() != 0) {
    EXPECT_THAT(answer_of({"--user", "root", GuestImage("counters").path()}),
                HasSubstr("--user: only root can hand its rights down to 'root'"));
    return;
  }
  const passwd* const nobody = ::getpwnam("nobody");
  if (nobody == nullptr) GTEST_SKIP() << "there is no user nobody";
  const uid_t id = nobody->pw_uid;
  GuestProcess guest("counters",
                     {.start = GuestOptions::Start::Running, .arguments = {"--user", "nobody"}});
  await_change(guest, guest["counters"], 0);
  const std::string four = fmt::format("{0}\t{0}\t{0}\t{0}", id);
  EXPECT_EQ(status_of(guest.process().pid(), "Uid:"), four);
  EXPECT_EQ(status_of(guest.process().pid(), "CapPrm:"), "0000000000000000");
  EXPECT_THAT(guest.process().text(Stream::Error), Not(HasSubstr("runs as root")));
  GuestProcess root("counters", {.start = GuestOptions::Start::Running});
  await_change(root, root["counters"], 0);
  EXPECT_THAT(root.process().text(Stream::Error),
              HasSubstr("ringside: runs as root; --user NAME goes on with a user's rights\n"));
  EXPECT_THAT(answer_of({"--user", "no-such-user", GuestImage("counters").path()}),
              HasSubstr("ringside: --user: there is no user 'no-such-user'\n"));
}

// A host whose filter refuses another filter, as some containers have: one line, and the guest is
// as always.
TEST_F(InTheSandbox, WhereThereIsNoneALineSaysSo) {
  SKIP_IF(host::no_restriction("no-filters"));
  ChildProcess ringside({RINGSIDE_RESTRICTED, "no-filters", RINGSIDE_PROGRAM, "-e", "soft",
                         GuestImage("features").path()});
  ringside.close_input();
  EXPECT_NE(ringside.await_exit(), 4);
  EXPECT_THAT(
      ringside.text(Stream::Error),
      ::testing::ContainsRegex("sandbox: none, because system calls cannot be filtered: .*; "
                               "the process keeps its rights\n"));
  ChildProcess probe({RINGSIDE_RESTRICTED, "no-filters", RINGSIDE_PROGRAM, "--probe"});
  probe.await_exit();
  EXPECT_THAT(probe.text(Stream::Output),
              HasSubstr("sandbox: none: system calls cannot be filtered on this host\n"));
}

// Who asks for one gets it, or an error.
TEST_F(InTheSandbox, WhereThereIsNoneThatWasAskedForThatIsAnError) {
  SKIP_IF(host::no_restriction("no-filters"));
  const auto error_with = [](const std::vector<std::string>& more) {
    std::vector<std::string> command = {RINGSIDE_RESTRICTED, "no-filters", RINGSIDE_PROGRAM, "-e",
                                        "soft"};
    command.insert(command.end(), more.begin(), more.end());
    command.push_back(GuestImage("features").path());
    ChildProcess ringside(command);
    ringside.close_input();
    EXPECT_EQ(ringside.await_exit(), 4);
    return ringside.text(Stream::Error);
  };
  EXPECT_THAT(error_with({"--sandbox", "on"}), HasSubstr("system calls cannot be filtered"));
  const TemporaryFolder folder;
  const std::string path = folder.path();
  EXPECT_THAT(error_with({"--sandbox", "on", "--share", path}),
              HasSubstr("system calls cannot be filtered"));
}

// What the program makes has guest memory in it, or what was typed.
class ItsFiles : public ::testing::Test {
 protected:
  static unsigned mode(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }
  ItsFiles() : before_(::umask(0)) {}
  ~ItsFiles() override { ::umask(before_); }

  const TemporaryFolder folder_;
  const mode_t before_;
};

TEST_F(ItsFiles, AreTheirOwnersAloneWhateverTheUmask) {
  const std::string journal = folder_ / "journal", saved = folder_ / "saved";
  const std::string serial = folder_ / "serial", debugcon = folder_ / "debugcon";
  GuestProcess guest("counters", {.start = GuestOptions::Start::Running,
                                  .arguments = {"--record", journal, "--save", saved, "-s",
                                                "file:" + serial, "--debugcon", "file:" + debugcon,
                                                "--files", folder_.path().string()}});
  DebugClient client = guest.attach();
  EXPECT_THAT(monitor(client, "save by-monitor"), HasSubstr("saved 'by-monitor'"));
  EXPECT_THAT(monitor(client, "dump-guest-memory core"), HasSubstr("dumped: 'core'"));
  EXPECT_THAT(monitor(client, "profile start profile"), HasSubstr("a sample in"));
  EXPECT_THAT(monitor(client, "profile stop"), HasSubstr("'profile' has"));
  EXPECT_THAT(monitor(client, "trace calls calls"), HasSubstr("all calls"));
  EXPECT_THAT(monitor(client, "trace stop"), HasSubstr("'calls' has"));
  client.detach();
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_exit(), 4);
  for (const char* name :
       {"journal", "saved", "serial", "debugcon", "by-monitor", "core", "profile", "calls"})
    EXPECT_EQ(mode(folder_ / name), 0600u) << name;
}

TEST_F(ItsFiles, AreNotWrittenThroughALink) {
  const std::string kept = folder_ / "kept", link = folder_ / "link";
  std::ofstream(kept) << "kept";
  std::filesystem::create_symlink(kept, link);
  const std::string kernel = GuestImage("counters").path();
  const std::string refused =
      "cannot write '" + link + "': it is a symbolic link; name the file itself\n";
  EXPECT_THAT(answer_of({"-e", "soft", "-s", "file:" + link, kernel}), HasSubstr(refused));
  EXPECT_THAT(answer_of({"-e", "soft", "--debugcon", "file:" + link, kernel}), HasSubstr(refused));
  // What is there is looked at through the link, and is no journal.
  EXPECT_THAT(answer_of({"-e", "soft", "--record", link, kernel}),
              HasSubstr("'" + link + "' is there already, and is not a journal of ringside\n"));
  std::filesystem::resize_file(kept, 0);
  EXPECT_THAT(answer_of({"-e", "soft", "--record", link, kernel}), HasSubstr(refused));
  std::ofstream(kept) << "kept";
  EXPECT_THAT(answer_of({"-e", "soft", "--save", link, kernel}),
              HasSubstr("'link' is there already, and is not a saved machine\n"));
  EXPECT_THAT(answer_of({"-e", "soft", "--dump-on-panic", link, kernel}),
              HasSubstr("'link' is there already, and is not a core\n"));
  EXPECT_EQ(content_of(kept), "kept");
}

}  // namespace
}  // namespace ringside::testing
