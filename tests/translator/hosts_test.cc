// Hosts whose processor lacks what host code needs.
#include <asm/prctl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/log.h"
#include "engine/soft/translate/emitter/host_processor.h"
#include "translator/bare_twins.h"
#include "translator/stage.h"

namespace ringside::testing {
namespace {

constexpr std::uint32_t kLahf = 1;  // CPUID 0x80000001, ECX

TEST(HostProcessor, NeedsLahfIn64BitMode) {
  EXPECT_TRUE(soft::host_processor::suffices(kLahf));
  const Result<void> without = soft::host_processor::suffices(~kLahf);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().text(), "the host's processor has no LAHF in 64-bit mode");
}

// Whether this process may execute CPUID. False: the host cannot forbid it.
enum class Cpuid : unsigned long { Faults, Executes };
bool set_cpuid(Cpuid cpuid) {
  return ::syscall(SYS_arch_prctl, ARCH_SET_CPUID, static_cast<unsigned long>(cpuid)) == 0;
}

// CPUID faults: executes it, and leaves LAHF out of what it says.
void answer_cpuid(int, siginfo_t*, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  constexpr std::uint8_t kCpuid[] = {0x0f, 0xa2};
  const auto* code = reinterpret_cast<const void*>(registers[REG_RIP]);
  if (std::memcmp(code, kCpuid, sizeof kCpuid) != 0) ::_exit(3);
  const auto leaf = static_cast<std::uint32_t>(registers[REG_RAX]);
  std::uint32_t eax = leaf, ebx = 0, ecx = static_cast<std::uint32_t>(registers[REG_RCX]), edx = 0;
  set_cpuid(Cpuid::Executes);
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  set_cpuid(Cpuid::Faults);
  if (leaf == 0x80000001) ecx &= ~kLahf;
  registers[REG_RAX] = eax;
  registers[REG_RBX] = ebx;
  registers[REG_RCX] = ecx;
  registers[REG_RDX] = edx;
  registers[REG_RIP] += sizeof kCpuid;
}

// Ends with status 0 when a machine runs, and with what was logged on stderr.
[[noreturn]] void run_without_lahf() {
  struct sigaction action {};
  action.sa_sigaction = answer_cpuid;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSEGV, &action, nullptr);
  if (!set_cpuid(Cpuid::Faults)) ::_exit(2);
  log::set_sink(
      [](log::Level, std::string_view text) {
        std::fprintf(stderr, "<%.*s>", static_cast<int>(text.size()), text.data());
      },
      log::Level::Warning);
  Scene scene = make_stage(Setting::User64);
  constexpr std::uint8_t kLoop[] = {0xeb, 0xfe};
  std::memcpy(&scene.memory[stage::kCode], kLoop, sizeof kLoop);
  BareMachine machine(scene, translated());
  ::_exit(machine.run_to({1000}) ? 0 : 1);
}

TEST(HostProcessor, WithoutLahfEverythingIsInterpreted) {
  if (!set_cpuid(Cpuid::Executes)) GTEST_SKIP() << "this host cannot forbid CPUID";
  EXPECT_EXIT(run_without_lahf(), ::testing::ExitedWithCode(0),
              "^<every instruction is interpreted: the host's processor has no LAHF in 64-bit "
              "mode>$");
}

}  // namespace
}  // namespace ringside::testing
