// The CPU's state as a value.
#include <gtest/gtest.h>

#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
using Mode = TestCpu::Mode;

TEST(State, AppliedToAnotherCpuIsTheSame) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  x86::CpuState s = cpu->state();
  s.fpu.status = 3 << 11;
  s.fpu.tag = 0x3fff;                                     // physical register 7 is valid
  s.fpu.st[4] = {0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f};  // 1.0 in physical 7
  s.cr8 = 5;
  s.dr[2] = 0x1234;
  TestCpu other(Mode::Real);
  other->set_state(s);
  const x86::CpuState copy = other->state();
  EXPECT_EQ(copy.gpr, s.gpr);
  EXPECT_EQ(copy.rflags, s.rflags);
  EXPECT_EQ(copy.fpu.tag, s.fpu.tag);
  EXPECT_EQ(copy.fpu.st, s.fpu.st);
  EXPECT_EQ(copy.cr8, 5u);
  EXPECT_EQ(copy.dr, s.dr);
  EXPECT_EQ(other->cpl(), 3u);
  EXPECT_TRUE(other->code64());
}

class Bytes final : public StateVisitor {
 public:
  explicit Bytes(bool loading) : loading_(loading) {}
  bool loading() const override { return loading_; }
  void bytes(std::span<std::byte> bytes) override {
    if (!loading_) {
      data.insert(data.end(), bytes.begin(), bytes.end());
      return;
    }
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(at_), bytes.size(), bytes.begin());
    at_ += bytes.size();
  }
  std::vector<std::byte> data;

 private:
  bool loading_;
  std::size_t at_ = 0;
};

TEST(State, SavedAndLoadedItIsTheSame) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  cpu->injected = x86::Exception{x86::Vector::PageFault, 5, 0x1234};
  cpu->interrupt_shadow_until = 99;
  cpu->mtrrs.variable[3] = 0x800;
  Bytes saved(false);
  cpu->visit_state(saved);

  TestCpu other(Mode::Real);
  Bytes load(true);
  load.data = saved.data;
  other->visit_state(load);
  EXPECT_EQ(other->cpl(), 3u);
  EXPECT_EQ(other->code_width(), Width::Bits64);
  EXPECT_EQ(other->privilege(), Privilege::User);
  ASSERT_TRUE(other->injected);
  EXPECT_EQ(other->injected->error_code, 5u);
  Bytes again(false);
  other->visit_state(again);
  EXPECT_EQ(again.data, saved.data);
}

TEST(State, InitKeepsWhatItMust) {
  TestCpu cpu(Mode::Long64);
  cpu->fpu.mxcsr = 0x1fa0;
  cpu->pat = 0x0606060606060606;
  cpu->tsc_offset = 77;
  cpu->nmi_blocked = true;
  cpu->reset(Cpu::ResetKind::Init);
  EXPECT_EQ(cpu->fpu.mxcsr, 0x1fa0u);
  EXPECT_EQ(cpu->pat, 0x0606060606060606u);
  EXPECT_EQ(cpu->tsc_offset, 77u);
  EXPECT_FALSE(cpu->protected_mode());
  EXPECT_FALSE(cpu->long_mode());
  EXPECT_EQ(cpu->cpl(), 0u);
  EXPECT_EQ(cpu->rip(), 0xfff0u);
  EXPECT_EQ(cpu.rdx(), kProcessorSignature);
  cpu->reset();
  EXPECT_EQ(cpu->pat, 0x0007040600070406u);
}

}  // namespace
}  // namespace ringside::soft
