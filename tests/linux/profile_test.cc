// A profile and a trace of calls of Debian's boot: the kernel's functions have their names, callers
// are found though the kernel is built without frame pointers, and the run is the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "base/testing/temporary_folder.h"
#include "linux/linux_guest.h"
#include "support/debug_client.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class LinuxProfile : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(files_.missing()); }

  // Boots to the end with these commands before the first instruction; the line with the hash.
  std::string boot(const std::vector<std::string>& commands) {
    LinuxGuest guest(files_, {.cpus = 2,
                              .append = "panic=-1 init=/nothing rdinit=/nothing",
                              .arguments = {"-G", "w0", "--files", folder_ / ".", "--pace", "off",
                                            "--log", "debug"}});
    const std::string target = guest.gdb_target();
    DebugClient client(static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1))));
    client.request("?");
    for (const std::string& command : commands)
      client.request("qRcmd," + hex(command));
    client.detach();
    guest.process().await_exit(boot_deadline());
    return state_of(guest.process());
  }

  const LinuxFiles files_{"cloud-amd64"};
  const TemporaryFolder folder_;
};

TEST_F(LinuxProfile, ABootHasItsFunctionsAndCallersAndIsTheSame) {
  const std::string alone = boot({});
  EXPECT_EQ(boot({"profile start p 200000"}), alone);
  EXPECT_EQ(boot({"trace calls t"}), alone);
  boot({"profile start again 200000"});
  const std::string profile = content(folder_ / "p");
  EXPECT_EQ(content(folder_ / "again"), profile) << "the same in every run";
  // How many samples have a function somewhere, and how many have it as a caller.
  std::map<std::string, unsigned> with;
  unsigned samples = 0, deep = 0;
  std::istringstream lines(profile);
  std::set<std::string> functions;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) {
      ++samples;
      deep += functions.size() >= 4 ? 1 : 0;
      for (const std::string& function : functions)
        ++with[function];
      functions.clear();
    } else if (line.front() == '\t') {
      const std::size_t begin = line.find(' ', line.find_first_not_of("\t ")) + 1;
      functions.insert(line.substr(begin, line.find('+') - begin));
    }
  }
  EXPECT_GT(samples, 1000u);
  EXPECT_GT(deep, samples / 2) << "most samples have callers";
  // The kernel tests its ciphers most of the time, in threads of its own.
  for (const char* const function : {"ret_from_fork", "kthread", "cryptomgr_test", "alg_test"})
    EXPECT_GT(with[function], samples / 2) << function;
  for (const char* const function : {"start_kernel", "kernel_init", "kernel_init_freeable"})
    EXPECT_GT(with[function], samples / 50) << function;
  EXPECT_GT(with["jump_label_init"], 10u);
  EXPECT_THAT(profile, HasSubstr(" ([kernel]?)\n")) << "guesses are marked";
  EXPECT_THAT(profile, ContainsRegex("\nswapper/0 +1/1 \\[00"));
  EXPECT_THAT(profile, HasSubstr(" [001] "));

  const std::string trace = content(folder_ / "t");
  EXPECT_THAT(trace, ContainsRegex("\\{\"name\":\"jump_label_init\",\"ph\":\"X\",\"ts\":[0-9.]+,"
                                   "\"dur\":[0-9]+\\.[0-9]{3},\"pid\":1,\"tid\":[0-9]+\\}"));
  EXPECT_TRUE(trace.ends_with("}\n]}\n"));
}

}  // namespace
}  // namespace ringside::testing
