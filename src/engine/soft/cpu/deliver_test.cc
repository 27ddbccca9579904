// Frames, error codes and privilege changes of exceptions and interrupts in every mode, double and
// triple faults.
#include <gtest/gtest.h>

#include "engine/soft/state/fault.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
using x86::SegmentName;
using x86::Vector;
namespace at = testing::at;
namespace sel = testing::sel;
namespace type = x86::system_type;
using Mode = TestCpu::Mode;

constexpr std::uint64_t kRf = x86::rflags::RF;
constexpr std::uint64_t kNonCanonical = 0x0000800000000000;

std::vector<Vector> all_vectors() {
  std::vector<Vector> vectors;
  for (int v = 0; v < 20; ++v) {
    if (v != 2 && v != 9 && v != 15) vectors.push_back(static_cast<Vector>(v));
  }
  return vectors;
}

std::optional<std::uint32_t> some_error_code(Vector vector) {
  return x86::pushes_error_code(vector) ? std::optional<std::uint32_t>(0x1234) : std::nullopt;
}

// ---- 64-bit

TEST(DeliverLong, EveryExceptionHasItsFrame) {
  for (const Vector vector : all_vectors()) {
    TestCpu cpu(Mode::Long64);
    cpu->rip() = 0x12345;
    cpu->flags.set_value(0x246);
    deliver_exception(*cpu, {vector, some_error_code(vector), 0xdead});
    const int number = static_cast<int>(vector);
    SCOPED_TRACE(number);
    EXPECT_EQ(cpu.arrived(), number);
    const bool code = x86::pushes_error_code(vector);
    const unsigned skip = code ? 1 : 0;
    EXPECT_EQ(cpu.rsp(), at::kStack - (code ? 48 : 40));
    if (code) {
      EXPECT_EQ(cpu.stack<std::uint64_t>(0), 0x1234u);
    }
    EXPECT_EQ(cpu.stack<std::uint64_t>(skip), 0x12345u);
    EXPECT_EQ(cpu.stack<std::uint64_t>(skip + 1), sel::kCode0);
    const bool fault = vector != Vector::Debug && vector != Vector::Breakpoint &&
                       vector != Vector::Overflow && vector != Vector::DoubleFault &&
                       vector != Vector::MachineCheck;
    EXPECT_EQ(cpu.stack<std::uint64_t>(skip + 2), 0x246u | (fault ? kRf : 0));
    EXPECT_EQ(cpu.stack<std::uint64_t>(skip + 3), at::kStack);
    EXPECT_EQ(cpu.stack<std::uint64_t>(skip + 4), sel::kData0);
    EXPECT_FALSE(cpu->flags.interrupts());
    EXPECT_EQ(cpu->cr2, vector == Vector::PageFault ? 0xdeadu : 0u);
  }
}

TEST(DeliverLong, OnlyAnInterruptGateClearsIf) {
  TestCpu cpu(Mode::Long64);
  cpu->flags.set_value(0x202 | x86::rflags::TF | x86::rflags::NT | x86::rflags::AC);
  cpu.gate64(6, type::kTrapGate);
  deliver_exception(*cpu, {Vector::InvalidOpcode, std::nullopt, 0});
  EXPECT_TRUE(cpu->flags.interrupts());
  EXPECT_FALSE(cpu->flags.tf());
  EXPECT_FALSE(cpu->flags.nt());
  EXPECT_TRUE(cpu->flags.ac());  // which only SMAP software cares to clear
}

TEST(DeliverLong, FromRing3TheStackComesFromTheTss) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 6);
  EXPECT_EQ(cpu->cpl(), 0u);
  EXPECT_EQ(cpu.rsp(), at::kStack0 - 40);
  EXPECT_EQ(cpu.selector(SegmentName::Ss), 0);
  EXPECT_TRUE(cpu->seg(SegmentName::Ss).unusable());
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode);
  EXPECT_EQ(cpu.stack<std::uint64_t>(1), sel::kCode3);
  EXPECT_EQ(cpu.stack<std::uint64_t>(3), at::kStack3);
  EXPECT_EQ(cpu.stack<std::uint64_t>(4), sel::kData3);
}

TEST(DeliverLong, TheFrameIsAlignedTo16) {
  TestCpu cpu(Mode::Long64);
  cpu.rsp() = at::kStack - 9;
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.rsp(), at::kStack - 16 - 40);
  EXPECT_EQ(cpu.stack<std::uint64_t>(3), at::kStack - 9);
}

TEST(DeliverLong, AnIstStackIsTakenAtAnyPrivilege) {
  TestCpu cpu(Mode::Long64);
  cpu.put<std::uint64_t>(at::kTss + 36 + 8 * 2, at::kIst);  // IST3
  cpu.gate64(6, type::kInterruptGate, 0, 3);
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.rsp(), at::kIst - 40);
  EXPECT_EQ(cpu.selector(SegmentName::Ss), sel::kData0);  // no change of privilege
}

TEST(DeliverLong, SoftwareInterruptsNeedTheGatesPrivilege) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  cpu.run("cd 80");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 0x80u * 8 + 2);  // EXT clear
  EXPECT_EQ(cpu.stack<std::uint64_t>(1), at::kCode);      // the INT itself

  TestCpu allowed(Mode::Long64);
  allowed.gate64(0x80, type::kTrapGate, 3);
  allowed.enter_user();
  allowed.run("cd 80");
  EXPECT_EQ(allowed.arrived(), 0x80);
  EXPECT_EQ(allowed.stack<std::uint64_t>(0), at::kCode + 2);
}

TEST(DeliverLong, Int3AndInt1) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  cpu.run("cc");  // gate DPL 0
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 3u * 8 + 2);

  TestCpu icebp(Mode::Long64);
  icebp.enter_user();
  icebp.run("f1");  // INT1 does not look at DPL
  EXPECT_EQ(icebp.arrived(), 1);
  EXPECT_EQ(icebp.stack<std::uint64_t>(0), at::kCode + 1);
}

TEST(DeliverLong, GateFaultsNameTheGate) {
  TestCpu cpu(Mode::Long64);
  cpu.put<std::uint8_t>(at::kIdt + 16 * 6 + 5, 0x0e);  // not present
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 11);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 6u * 8 + 2 + 1);  // EXT: not by INT n

  TestCpu wrong(Mode::Long64);
  wrong.gate64(6, type::kTaskGate);
  wrong.run("0f 0b");
  EXPECT_EQ(wrong.arrived(), 13);
  EXPECT_EQ(wrong.stack<std::uint64_t>(0), 6u * 8 + 2 + 1);

  TestCpu outside(Mode::Long64);
  outside->idtr.limit = 16 * 0x20 - 1;
  outside.run("cd 20");
  EXPECT_EQ(outside.arrived(), 13);
  EXPECT_EQ(outside.stack<std::uint64_t>(0), 0x20u * 8 + 2);
}

TEST(DeliverLong, TheHandlersSegmentMustBe64BitCode) {
  const auto error_with = [](std::uint16_t selector) {
    TestCpu cpu(Mode::Long64);
    cpu.gate64(6, type::kInterruptGate, 0, 0, selector);
    cpu.run("0f 0b");
    EXPECT_EQ(cpu.arrived(), 13);
    return cpu.stack<std::uint64_t>(0);
  };
  EXPECT_EQ(error_with(0), 1u);  // null: only EXT
  EXPECT_EQ(error_with(sel::kData0), sel::kData0 | 1u);
  EXPECT_EQ(error_with(sel::kCode32), sel::kCode32 | 1u);
  EXPECT_EQ(error_with(0x1000), 0x1000 | 1u);  // beyond the table
}

TEST(DeliverLong, AHandlerInRing3KeepsTheUserStack) {
  TestCpu cpu(Mode::Long64);
  cpu.gate64(6, type::kInterruptGate, 0, 0, sel::kCode3 & ~3);
  cpu.enter_user();
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 6);
  EXPECT_EQ(cpu->cpl(), 3u);
  EXPECT_EQ(cpu.rsp(), at::kStack3 - 40);
}

TEST(DeliverLong, PageFaultErrorCodes) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  cpu.unmap(0x50000);
  cpu.run("a2 08 00 05 00 00 00 00 00");  // mov [0x50008], al
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 2u);  // a write, not present
  EXPECT_EQ(cpu->cr2, 0x50008u);

  TestCpu user(Mode::Long64);
  user.small_pages();
  user.put<std::uint64_t>(at::kPt + 8 * 0x50, 0x50000 | 3);  // supervisor
  user.enter_user();
  user.run("a0 00 00 05 00 00 00 00 00");
  EXPECT_EQ(user.arrived(), 14);
  EXPECT_EQ(user.stack<std::uint64_t>(0), 5u);  // present, user

  TestCpu fetch(Mode::Long64);
  fetch.small_pages();
  fetch.put<std::uint64_t>(at::kPt + 8 * 0x50, 0x50000 | 7 | 1ull << 63);
  fetch->rip() = 0x50000;
  fetch.step();
  EXPECT_EQ(fetch.arrived(), 14);
  EXPECT_EQ(fetch.stack<std::uint64_t>(0), 0x11u);
  EXPECT_EQ(fetch->cr2, 0x50000u);
}

TEST(DeliverLong, NonCanonicalAddresses) {
  TestCpu data(Mode::Long64);
  data.rax() = kNonCanonical;
  data.run("8a 00");  // mov al, [rax]
  EXPECT_EQ(data.arrived(), 13);
  EXPECT_EQ(data.stack<std::uint64_t>(0), 0u);

  TestCpu stack(Mode::Long64);
  stack.put<std::uint64_t>(at::kTss + 36, at::kIst);
  stack.gate64(12, type::kInterruptGate, 0, 1);
  stack.rsp() = kNonCanonical + 8;
  stack.run("50");  // push rax
  EXPECT_EQ(stack.arrived(), 12);
  EXPECT_EQ(stack.stack<std::uint64_t>(0), 0u);
  EXPECT_EQ(stack.stack<std::uint64_t>(4), kNonCanonical + 8);  // RSP had not moved
}

TEST(DeliverLong, ABadRsp0IsAStackFault) {
  TestCpu cpu(Mode::Long64);
  cpu.put<std::uint64_t>(at::kTss + 4, kNonCanonical + 0x100);
  cpu.put<std::uint64_t>(at::kTss + 36, at::kIst);
  cpu.gate64(12, type::kInterruptGate, 0, 1);
  cpu.enter_user();
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 12);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 1u);  // EXT
  EXPECT_EQ(cpu.stack<std::uint64_t>(1), at::kCode);
  EXPECT_EQ(cpu.stack<std::uint64_t>(2), sel::kCode3);  // nothing of the first attempt is left
}

TEST(DeliverLong, ATssThatIsTooShortIsInvalid) {
  TestCpu cpu(Mode::Long64);
  cpu.gate64(10, type::kInterruptGate, 0, 0, sel::kCode3 & ~3);
  cpu.enter_user();
  cpu->tr.limit = 10;
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 10);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), sel::kTss | 1u);
}

TEST(DeliverLong, FromCompatibilityCode) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  x86::CpuState s = cpu->state();
  s.seg(SegmentName::Cs) = cpu.from_gdt(sel::kCode32User);
  cpu->set_state(s);
  EXPECT_FALSE(cpu->code64());
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 6);
  EXPECT_TRUE(cpu->code64());
  EXPECT_EQ(cpu.stack<std::uint64_t>(1), sel::kCode32User);
}

TEST(DeliverLong, ExternalInterruptsAndShadows) {
  TestCpu cpu(Mode::Long64);
  cpu.platform.vector = 0x40;
  cpu->interrupt_pin = true;
  cpu.code("fb 90 90");  // sti; nop; nop
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu->rip(), at::kCode + 1);
  run(*cpu, cpu->icount + 1);  // the shadow
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 2);
  EXPECT_EQ(cpu.stack<std::uint64_t>(2) & kRf, 0u);
}

// ---- Double and triple faults

TEST(DoubleFault, ContributoryOnContributory) {
  TestCpu cpu(Mode::Long64);
  cpu.no_gate(13);
  cpu.run("31 c9 f7 f1", 2);  // xor ecx, ecx; div ecx: #DE is delivered
  EXPECT_EQ(cpu.arrived(), 0);

  TestCpu both(Mode::Long64);
  both.no_gate(0);
  both.run("31 c9 f7 f1", 2);  // #DE, then #GP for its gate
  EXPECT_EQ(both.arrived(), 8);
  EXPECT_EQ(both.stack<std::uint64_t>(0), 0u);
  EXPECT_EQ(both.stack<std::uint64_t>(1), at::kCode + 2);
}

TEST(DoubleFault, BenignThenContributoryIsServedInTurn) {
  TestCpu cpu(Mode::Long64);
  cpu.no_gate(6);
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 13);
}

TEST(DoubleFault, PageFaultOnPageFault) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  cpu.unmap(0x50000);
  cpu.unmap(at::kStack - 0x1000);  // the stack: delivery of #PF faults
  cpu.put<std::uint64_t>(at::kTss + 36, at::kIst);
  cpu.gate64(8, type::kInterruptGate, 0, 1);
  cpu.run("a0 00 00 05 00 00 00 00 00");
  EXPECT_EQ(cpu.arrived(), 8);
  EXPECT_EQ(cpu->cr2, at::kStack - 8);
  EXPECT_EQ(cpu.stack<std::uint64_t>(4), at::kStack);  // RSP, untouched
}

TEST(DoubleFault, ContributoryThenPageFaultIsServedInTurn) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  cpu.unmap(at::kStack - 0x1000);
  cpu.put<std::uint64_t>(at::kTss + 36, at::kIst);
  cpu.gate64(14, type::kInterruptGate, 0, 1);
  cpu.run("31 c9 f7 f1", 2);
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 2u);  // a supervisor's write, not present
}

TEST(TripleFault, EndsTheCpu) {
  TestCpu cpu(Mode::Long64);
  cpu->idtr.limit = 0;
  cpu.run("0f 0b");
  EXPECT_EQ(cpu->activity, Activity::Dead);
  EXPECT_NE(cpu.death, "");
  EXPECT_EQ(cpu->rip(), at::kCode);
}

// Whether the machine survives it or not, a recorded run and its replay are in the same state.
TEST(TripleFault, LeavesNoSingleStepTrapBehind) {
  TestCpu cpu(Mode::Long64);
  cpu->idtr.limit = 0;
  cpu->flags.set_system(x86::rflags::TF, true);
  cpu.run("0f 0b");
  EXPECT_EQ(cpu->activity, Activity::Dead);
  EXPECT_EQ(cpu->pending_debug, 0u);
}

// ---- 32-bit and 16-bit protected mode

TEST(DeliverProtected, EveryExceptionHasItsFrame) {
  for (const Vector vector : all_vectors()) {
    TestCpu cpu(Mode::Protected32);
    cpu->rip() = 0x12345;
    cpu->flags.set_value(0x246);
    deliver_exception(*cpu, {vector, some_error_code(vector), 0xdead});
    const int number = static_cast<int>(vector);
    SCOPED_TRACE(number);
    EXPECT_EQ(cpu.arrived(), number);
    const unsigned skip = x86::pushes_error_code(vector) ? 1 : 0;
    EXPECT_EQ(cpu.rsp(), at::kStack - 12 - 4 * skip);
    if (skip != 0) {
      EXPECT_EQ(cpu.stack<std::uint32_t>(0), 0x1234u);
    }
    EXPECT_EQ(cpu.stack<std::uint32_t>(skip), 0x12345u);
    EXPECT_EQ(cpu.stack<std::uint32_t>(skip + 1), sel::kCode0);
    EXPECT_EQ(cpu.stack<std::uint32_t>(skip + 2) & ~kRf, 0x246u);
    EXPECT_TRUE(cpu->flags.interrupts());  // trap gates
  }
}

TEST(DeliverProtected, A16BitGatePushesWords) {
  TestCpu cpu(Mode::Protected32);
  // Its offset has 16 bits, so the handler lies in a segment with a base.
  cpu.descriptor(sel::kFree, TestCpu::make_descriptor(at::kHandlers, 0xffff, 0x009b));
  cpu.put<std::uint64_t>(at::kIdt + 8 * 13,
                         TestCpu::make_gate(sel::kFree, 13 * 16, type::kInterruptGate16));
  deliver_exception(*cpu, {Vector::GeneralProtection, 0x1234, 0});
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.rsp(), at::kStack - 8);
  EXPECT_EQ(cpu.stack<std::uint16_t>(0), 0x1234);
  EXPECT_EQ(cpu.stack<std::uint16_t>(2), sel::kCode0);
  EXPECT_EQ(cpu->code_width(), Width::Bits16);
}

TEST(DeliverProtected, FromRing3TheStackComesFromTheTss) {
  TestCpu cpu(Mode::Protected32);
  cpu.enter_user();
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 6);
  EXPECT_EQ(cpu->cpl(), 0u);
  EXPECT_EQ(cpu.rsp(), at::kStack0 - 20);
  EXPECT_EQ(cpu.selector(SegmentName::Ss), sel::kData0);
  EXPECT_EQ(cpu.stack<std::uint32_t>(0), at::kCode);
  EXPECT_EQ(cpu.stack<std::uint32_t>(1), sel::kCode3);
  EXPECT_EQ(cpu.stack<std::uint32_t>(3), at::kStack3);
  EXPECT_EQ(cpu.stack<std::uint32_t>(4), sel::kData3);
}

TEST(DeliverProtected, FromA16BitTss) {
  TestCpu cpu(Mode::Protected32);
  cpu.put<std::uint16_t>(at::kTss + 2, 0x8000);  // SP0
  cpu.put<std::uint16_t>(at::kTss + 4, sel::kData0);
  cpu.enter_user();
  cpu->tr.attributes = 0x83;
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 6);
  EXPECT_EQ(cpu.rsp(), 0x8000u - 20);
}

TEST(DeliverProtected, ABadStackInTheTss) {
  const auto arrival_with = [](std::uint16_t ss) {
    TestCpu cpu(Mode::Protected32);
    cpu.put<std::uint32_t>(at::kTss + 8, ss);
    // These handlers run in ring 3, so that they need no stack from the TSS.
    cpu.gate32(10, type::kTrapGate, 0, sel::kCode3 & ~3);
    cpu.gate32(12, type::kTrapGate, 0, sel::kCode3 & ~3);
    cpu.descriptor(sel::kFree, TestCpu::make_descriptor(0, 0xfffff, 0xc013));  // not present
    cpu.enter_user();
    cpu.run("0f 0b");
    return std::pair<int, std::uint32_t>(cpu.arrived(), cpu.stack<std::uint32_t>(0));
  };
  EXPECT_EQ(arrival_with(0), (std::pair<int, std::uint32_t>(10, 1)));
  EXPECT_EQ(arrival_with(sel::kData3), (std::pair<int, std::uint32_t>(10, 0x20 | 1)));
  EXPECT_EQ(arrival_with(sel::kCode0), (std::pair<int, std::uint32_t>(10, 0x08 | 1)));
  EXPECT_EQ(arrival_with(sel::kFree), (std::pair<int, std::uint32_t>(12, sel::kFree | 1)));
}

TEST(DeliverProtected, OutOfVirtual8086Mode) {
  TestCpu cpu(Mode::Protected32);
  cpu.enter_8086();
  cpu.run("0f 0b");
  EXPECT_EQ(cpu.arrived(), 6);
  EXPECT_FALSE(cpu->virtual_8086());
  EXPECT_EQ(cpu->cpl(), 0u);
  EXPECT_EQ(cpu.rsp(), at::kStack0 - 36);
  EXPECT_EQ(cpu.stack<std::uint32_t>(1), at::kCode >> 4);
  EXPECT_NE(cpu.stack<std::uint32_t>(2) & x86::rflags::VM, 0u);
  EXPECT_EQ(cpu.stack<std::uint32_t>(3), 0x1000u);
  for (unsigned i = 5; i < 9; ++i)
    EXPECT_EQ(cpu.stack<std::uint32_t>(i), at::kData >> 4);
  EXPECT_EQ(cpu.selector(SegmentName::Ds), 0);
  EXPECT_TRUE(cpu->seg(SegmentName::Ds).unusable());
  // And back.
  cpu.put<std::uint8_t>(TestCpu::handler(6), 0xcf);
  cpu.step();
  EXPECT_TRUE(cpu->virtual_8086());
  EXPECT_EQ(cpu->cpl(), 3u);
  EXPECT_EQ(cpu.selector(SegmentName::Gs), at::kData >> 4);
  EXPECT_EQ(cpu->seg(SegmentName::Ss).base, at::kStack3 - 0x1000);
  EXPECT_EQ(cpu.rsp(), 0x1000u);
}

TEST(DeliverProtected, IntInVirtual8086ModeNeedsIopl3) {
  TestCpu cpu(Mode::Protected32);
  cpu.gate32(0x21, type::kTrapGate, 3);
  cpu.enter_8086(2);
  cpu.run("cd 21");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint32_t>(0), 0u);

  TestCpu allowed(Mode::Protected32);
  allowed.gate32(0x21, type::kTrapGate, 3);
  allowed.enter_8086(3);
  allowed.run("cd 21");
  EXPECT_EQ(allowed.arrived(), 0x21);
}

TEST(DeliverProtected, SegmentFaultsNameTheSelector) {
  const auto arrival_with = [](std::uint16_t selector) {
    TestCpu cpu(Mode::Protected32);
    cpu.descriptor(sel::kFree, TestCpu::make_descriptor(0, 0xfffff, 0xc013));  // not present
    cpu.rax() = selector;
    cpu.run("8e d8");  // mov ds, ax
    return std::pair<int, std::uint32_t>(cpu.arrived(), cpu.stack<std::uint32_t>(0));
  };
  EXPECT_EQ(arrival_with(sel::kFree), (std::pair<int, std::uint32_t>(11, sel::kFree)));
  EXPECT_EQ(arrival_with(0xff8), (std::pair<int, std::uint32_t>(13, 0xff8)));
  EXPECT_EQ(arrival_with(0x14), (std::pair<int, std::uint32_t>(13, 0x14)));  // no LDT
  EXPECT_EQ(arrival_with(sel::kTss), (std::pair<int, std::uint32_t>(13, sel::kTss)));
}

TEST(DeliverProtected, LimitsAndTypes) {
  const auto arrival_with = [](std::uint64_t descriptor, const char* bytes, unsigned steps = 2) {
    TestCpu cpu(Mode::Protected32);
    cpu.descriptor(sel::kFree, descriptor);
    cpu.rax() = sel::kFree;
    cpu.run(bytes, steps);
    return std::pair<int, std::uint32_t>(cpu.arrived(), cpu.stack<std::uint32_t>(0));
  };
  const std::pair<int, std::uint32_t> gp(13, 0);
  const auto make = TestCpu::make_descriptor;
  const char* const read_at_10 = "8e d8 8b 0d 10 00 00 00";  // mov ds, ax; mov ecx, [0x10]
  const char* const write_at_10 = "8e d8 89 0d 10 00 00 00";
  EXPECT_EQ(arrival_with(make(0, 0x12, 0x4093), read_at_10), gp);
  EXPECT_EQ(arrival_with(make(0, 0x13, 0x4093), read_at_10).first, -1);
  EXPECT_EQ(arrival_with(make(0, 0xfff, 0x4091), write_at_10), gp);      // read-only data
  EXPECT_EQ(arrival_with(make(0, 0xfff, 0x409b), write_at_10), gp);      // code
  EXPECT_EQ(arrival_with(make(0, 0x0f, 0x4097), read_at_10).first, -1);  // expand-down: above
  EXPECT_EQ(arrival_with(make(0, 0x10, 0x4097), read_at_10), gp);
  EXPECT_EQ(arrival_with(make(0, 0xfff, 0x4099), "8e d8", 1),
            (std::pair<int, std::uint32_t>(13, sel::kFree)));  // execute-only
  // A stack segment: a push beyond its limit.
  TestCpu cpu(Mode::Protected32);
  cpu.descriptor(sel::kFree, make(0, 0xfff, 0x4093));
  cpu->seg(SegmentName::Ss) = cpu.from_gdt(sel::kFree);
  cpu->update_mode();
  cpu.rsp() = 0x1004;
  EXPECT_THROW(cpu->push<std::uint32_t>(0), GuestFault);
}

TEST(DeliverProtected, ANullDataSegmentFaults) {
  TestCpu cpu(Mode::Protected32);
  cpu.rax() = 3;
  cpu.run("8e d8 8b 0d 10 00 00 00", 2);
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint32_t>(0), 0u);
}

// ---- Real mode

TEST(DeliverReal, EveryExceptionHasThreeWords) {
  for (const Vector vector : all_vectors()) {
    TestCpu cpu(Mode::Real);
    cpu->rip() = 0x1234;
    cpu->flags.set_value(0x202 | x86::rflags::TF);
    deliver_exception(*cpu, {vector, some_error_code(vector), 0});
    SCOPED_TRACE(static_cast<int>(vector));
    EXPECT_EQ(cpu.arrived(), static_cast<int>(vector));
    EXPECT_EQ(cpu.rsp(), 0x1000u - 6);
    EXPECT_EQ(cpu.stack<std::uint16_t>(0), 0x1234);
    EXPECT_EQ(cpu.stack<std::uint16_t>(1), at::kCode >> 4);
    EXPECT_EQ(cpu.stack<std::uint16_t>(2), 0x302);
    EXPECT_FALSE(cpu->flags.interrupts());
    EXPECT_FALSE(cpu->flags.tf());
  }
}

TEST(DeliverReal, BeyondTheTable) {
  TestCpu cpu(Mode::Real);
  cpu->idtr.limit = 4 * 0x20 - 1;
  cpu.run("cd 20");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint16_t>(0), 0);  // the INT itself

  TestCpu none(Mode::Real);
  none->idtr.limit = 0;
  none.run("cd 20");
  EXPECT_EQ(none->activity, Activity::Dead);
}

TEST(DeliverReal, ThereAndBack) {
  TestCpu cpu(Mode::Real);
  cpu->flags.set_value(0x202);
  cpu.put<std::uint8_t>(TestCpu::handler(0x20), 0xcf);
  cpu.run("cd 20", 2);
  EXPECT_EQ(cpu->rip(), 2u);
  EXPECT_EQ(cpu.selector(SegmentName::Cs), at::kCode >> 4);
  EXPECT_EQ(cpu.rsp(), 0x1000u);
  EXPECT_TRUE(cpu->flags.interrupts());
}

}  // namespace
}  // namespace ringside::soft
