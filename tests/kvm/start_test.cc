// How the program chooses its engine, and what it says where there is no KVM.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/kvm/host/probe.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> command(const char* engine) {
  return {RINGSIDE_PROGRAM, "-e", engine, "--debug-exit", GuestImage("end_debug_exit").path()};
}

bool kvm_is_there() { return ::access("/dev/kvm", F_OK) == 0; }

// The same command where /dev/kvm is not what it should be; in a mount namespace of its own if the
// host has a good one.
std::vector<std::string> without_kvm(std::vector<std::string> inner) {
  if (!kvm_is_there()) return inner;
  std::vector<std::string> result = {
      "unshare", "-rm", "sh", "-c", "mount --bind /dev/null /dev/kvm && exec \"$@\"", "sh"};
  result.insert(result.end(), inner.begin(), inner.end());
  return result;
}

TEST(KvmStart, WithoutKvmTheReasonIsOneSentence) {
  if (kvm_is_there()) SKIP_IF(host::no_mount_namespaces());
  ChildProcess asked(without_kvm(command("kvm")));
  EXPECT_EQ(asked.await_exit(), 4);
  const std::string& error = asked.text(ChildProcess::Stream::Error);
  EXPECT_THAT(error, HasSubstr("ringside: --engine kvm: "));
  EXPECT_THAT(error, HasSubstr("/dev/kvm"));
  EXPECT_THAT(error, HasSubstr("; --engine soft works on every host\n"));

  ChildProcess automatic(without_kvm(command("auto")));
  automatic.await(ChildProcess::Stream::Output, "r");
  EXPECT_THAT(automatic.await_line(ChildProcess::Stream::Error, "engine: "),
              HasSubstr("engine: soft, because "));

  ChildProcess probe(without_kvm({RINGSIDE_PROGRAM, "--probe"}));
  EXPECT_EQ(probe.await_exit(), 0);
  EXPECT_THAT(probe.text(ChildProcess::Stream::Output), HasSubstr("kvm: not usable: "));
  EXPECT_THAT(probe.text(ChildProcess::Stream::Output), HasSubstr("auto: takes soft, because "));
}

TEST(KvmStart, AutoDecidesByTheProbeAndSaysWhy) {
  const kvm::Facts& facts = kvm::host_facts();
  ChildProcess automatic(command("auto"));
  automatic.await(ChildProcess::Stream::Output, "r");
  EXPECT_THAT(automatic.await_line(ChildProcess::Stream::Error, "engine: "),
              HasSubstr(facts.fit_for_auto() ? "engine: kvm, because" : "engine: soft, because"));
}

}  // namespace
}  // namespace ringside::testing
