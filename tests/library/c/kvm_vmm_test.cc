// The example in C on the host's KVM, over a real socket. It says what this KVM can do; a test that
// needs more is skipped.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "support/child_process.h"
#include "support/debug_client.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

constexpr std::uint64_t kInc = 0x1000, kMove = 0x1001, kNop = 0x1006, kJump = 0x1007;
constexpr std::uint64_t kCounter = 0x2000;

std::string no_kvm() {
  const Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm) return host::no_engine("kvm", "/dev/kvm cannot be opened");
  const Fd vm(::ioctl(kvm.get(), KVM_CREATE_VM, 0));
  return host::no_engine("kvm", vm ? "" : "/dev/kvm makes no machine");
}

class KvmVmm {
 public:
  KvmVmm() : process_({RINGSIDE_KVM_VMM, "0"}) {
    can_ = process_.await_line(ChildProcess::Stream::Error, "kvm_vmm: this KVM ");
    const std::string line =
        process_.await_line(ChildProcess::Stream::Error, "gdb: listening on 127.0.0.1:");
    port_ = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
  }
  std::string cannot(const std::string& what) const {
    if (can_.find(what + ": yes") != std::string::npos) return {};
    return host::no_engine("kvm", "the example's line is: " + can_);
  }
  DebugClient attach() {
    DebugClient client(port_);
    parse_stop(client.request("?"));
    return client;
  }
  ChildProcess& process() { return process_; }

 private:
  ChildProcess process_;
  std::string can_;
  std::uint16_t port_ = 0;
};

bool is_in_program(std::uint64_t rip) {
  return rip == kInc || rip == kMove || rip == kNop || rip == kJump;
}

TEST(KvmVmm, RegistersAndMemoryBothWays) {
  SKIP_IF(no_kvm());
  KvmVmm vmm;
  DebugClient client = vmm.attach();
  const Registers registers = client.registers();
  EXPECT_TRUE(is_in_program(registers.rip())) << std::hex << registers.rip();
  EXPECT_EQ(registers[kCs], 8u);
  EXPECT_EQ(registers[kRsp], 0x10000u);
  EXPECT_EQ(client.read(kInc, 2), std::string("\x40\xa3"));
  EXPECT_EQ(client.request("m10000,1").substr(0, 1), "E");

  EXPECT_EQ(client.request("P0=" + hex(little_endian(0x12345678, 8))), "OK");
  EXPECT_EQ(client.registers()[kRax], 0x12345678u);
  client.write(0x3000, "by the debugger");
  EXPECT_EQ(client.read(0x3000, 15), "by the debugger");
}

TEST(KvmVmm, GoesOnBetweenStopsAndAfterItsDebugger) {
  SKIP_IF(no_kvm());
  KvmVmm vmm;
  std::uint64_t before = 0, after = 0;
  {
    DebugClient client = vmm.attach();
    for (int i = 0; i < 20; ++i) {
      client.resume();
      client.stop();
      EXPECT_TRUE(is_in_program(client.rip()));
    }
    before = client.read_u64(kCounter);
  }
  // Each that comes stops the guest, and lets it run again when it goes.
  for (const Deadline deadline; after <= before && !deadline.passed();) {
    DebugClient client = vmm.attach();
    after = client.read_u64(kCounter);
  }
  EXPECT_GT(after, before);
}

TEST(KvmVmm, StepsOneInstruction) {
  SKIP_IF(no_kvm());
  KvmVmm vmm;
  SKIP_IF(vmm.cannot("steps"));
  DebugClient client = vmm.attach();
  for (int i = 0; i < 12; ++i) {
    const Registers from = client.registers();
    client.step();
    const Registers to = client.registers();
    const std::uint64_t next = from.rip() == kInc    ? kMove
                               : from.rip() == kMove ? kNop
                               : from.rip() == kNop  ? kJump
                                                     : kInc;
    EXPECT_EQ(to.rip(), next);
    EXPECT_EQ(to[kRax], from[kRax] + (from.rip() == kInc ? 1 : 0));
  }
}

TEST(KvmVmm, AHardwareBreakpointIsHitOnceARound) {
  SKIP_IF(no_kvm());
  KvmVmm vmm;
  SKIP_IF(vmm.cannot("has breakpoints"));
  DebugClient client = vmm.attach();
  EXPECT_EQ(client.request("Z1," + hex_number(kNop) + ",1"), "OK");
  client.resume();
  client.await_stop();
  const std::uint64_t first = client.registers()[kRax];
  for (std::uint64_t round = 1; round < 10; ++round) {
    client.resume();
    client.await_stop();
    EXPECT_EQ(client.rip(), kNop);
    EXPECT_EQ(client.registers()[kRax], first + round);
  }
  EXPECT_EQ(client.request("z1," + hex_number(kNop) + ",1"), "OK");
}

TEST(KvmVmm, ASoftwareBreakpointIsHitOnceARound) {
  SKIP_IF(no_kvm());
  KvmVmm vmm;
  SKIP_IF(vmm.cannot("steps"));  // to go on from one
  SKIP_IF(vmm.cannot("exits at int3"));
  DebugClient client = vmm.attach();
  client.insert(kNop);
  client.resume();
  client.await_stop();
  const std::uint64_t first = client.registers()[kRax];
  client.resume();
  client.await_stop();
  EXPECT_EQ(client.registers()[kRax], first + 1);
  EXPECT_EQ(client.read(kNop, 1), std::string("\x90"));
}

TEST(KvmVmm, AnInstructionThatCannotBeExecutedEndsItInWords) {
  SKIP_IF(no_kvm());
  KvmVmm vmm;
  {
    DebugClient client = vmm.attach();
    client.write(kJump, "\x0f\x0b");  // ud2, as long as the jump, and there is no handler
  }
  vmm.process().await(ChildProcess::Stream::Error, "kvm_vmm: the guest has ended: triple fault\n");
  EXPECT_EQ(vmm.process().await_exit(), 0);
}

}  // namespace
}  // namespace ringside::testing
