// Descriptor tables, and the instructions that ask them.
#include <gtest/gtest.h>

#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
namespace sel = testing::sel;
using Mode = TestCpu::Mode;

TEST(Tables, LtrMarksTheTaskBusy) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = sel::kTss2;
  cpu.run("0f 00 d8 0f 00 c9", 2);  // ltr ax; str ecx
  EXPECT_EQ(cpu->tr.base, at::kTss2);
  EXPECT_EQ(cpu.rcx(), sel::kTss2);
  EXPECT_EQ(cpu.get<std::uint8_t>(at::kGdt + sel::kTss2 + 5), 0x8b);
  cpu.rax() = sel::kTss2;
  cpu.run("0f 00 d8");  // busy now
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), sel::kTss2);
}

TEST(Tables, LgdtTakes24BitsOfABaseWithA16BitOperand) {
  TestCpu cpu(Mode::Protected32);
  cpu.put<std::uint16_t>(at::kData, 0x1234);
  cpu.put<std::uint32_t>(at::kData + 2, 0x89abcdef);
  cpu.run("66 0f 01 15 00 80 01 00");
  EXPECT_EQ(cpu->gdtr.base, 0xabcdefu);
  EXPECT_EQ(cpu->gdtr.limit, 0x1234);
  cpu.run("0f 01 15 00 80 01 00 0f 01 05 10 80 01 00", 2);  // lgdt; sgdt
  EXPECT_EQ(cpu.get<std::uint32_t>(at::kData + 0x12), 0x89abcdefu);
}

// The width of linear addresses that is announced counts for a base, not the one in use.
TEST(Tables, BasesAreCanonicalTo57Bits) {
  constexpr std::uint64_t kTo57 = 0x00fedcba98765430, kNonCanonical = 0x0100000000000000;
  for (const std::uint64_t base : {kTo57, kNonCanonical}) {
    const int expected = base == kTo57 ? -1 : 13;
    for (const char* bytes : {"0f 01 10", "0f 01 18"}) {  // lgdt [rax], lidt [rax]
      TestCpu one(Mode::Long64);
      one.put<std::uint64_t>(at::kData + 2, base);
      one.rax() = at::kData;
      one.run(bytes);
      EXPECT_EQ(one.arrived(), expected) << bytes;
    }
    for (const std::uint16_t selector : {sel::kTss2, sel::kLdt}) {
      TestCpu one(Mode::Long64);
      one.put<std::uint32_t>(at::kGdt + selector + 8, static_cast<std::uint32_t>(base >> 32));
      one.rax() = selector;
      one.run(selector == sel::kTss2 ? "0f 00 d8" : "0f 00 d0");  // ltr ax, lldt ax
      EXPECT_EQ(one.arrived(), expected) << selector;
      if (expected < 0) {
        const x86::Segment& loaded = selector == sel::kTss2 ? one->tr : one->ldtr;
        EXPECT_EQ(loaded.base >> 32, base >> 32);
      }
    }
    TestCpu one(Mode::Long64);
    one.put<std::uint64_t>(at::kData, 0);
    one.put<std::uint64_t>(at::kData + 8, base);
    one.rax() = at::kData;
    one.rcx() = 0;
    one.run("66 0f 38 82 08");  // invpcid rcx, [rax]
    EXPECT_EQ(one.arrived(), expected);
  }
}

TEST(Tables, LarAndLslSeeWhatPrivilegeLetsThem) {
  const auto asked = [](std::uint16_t selector, bool user, const char* bytes) {
    TestCpu cpu(Mode::Long64);
    if (user) cpu.enter_user();
    cpu.rax() = selector;
    cpu.rcx() = 0x5555;
    cpu.run(bytes);
    return std::pair<bool, std::uint64_t>(cpu->flags.zf(), cpu.rcx());
  };
  using Answer = std::pair<bool, std::uint64_t>;
  const char* const lar = "0f 02 c8";
  const char* const lsl = "0f 03 c8";
  EXPECT_EQ(asked(sel::kData3, true, lar), Answer(true, 0xc0f300));
  EXPECT_EQ(asked(sel::kData0, true, lar), Answer(false, 0x5555));
  EXPECT_EQ(asked(sel::kConforming, true, lar), Answer(true, 0xa09f00));
  EXPECT_EQ(asked(sel::kTss, false, lsl), Answer(true, 0x3ff));
  EXPECT_EQ(asked(sel::kData0, false, lsl), Answer(true, 0xffffffff));
  EXPECT_EQ(asked(0, false, lsl), Answer(false, 0x5555));
  EXPECT_EQ(asked(0xff8, false, lsl), Answer(false, 0x5555));
}

TEST(Tables, VerrAndVerw) {
  const auto zf = [](std::uint16_t selector, const char* bytes) {
    TestCpu cpu(Mode::Long64);
    cpu.enter_user();
    cpu.rax() = selector;
    cpu.run(bytes);
    return cpu->flags.zf();
  };
  EXPECT_TRUE(zf(sel::kData3, "0f 00 e0"));
  EXPECT_TRUE(zf(sel::kData3, "0f 00 e8"));
  EXPECT_TRUE(zf(sel::kCode3, "0f 00 e0"));
  EXPECT_FALSE(zf(sel::kCode3, "0f 00 e8"));
  EXPECT_FALSE(zf(sel::kData0, "0f 00 e0"));
}

TEST(Tables, ArplRaisesTheRequestedPrivilege) {
  TestCpu cpu(Mode::Protected32);
  cpu.rax() = 0x10;
  cpu.rcx() = 0x23;
  cpu.run("63 c8");
  EXPECT_EQ(cpu.rax(), 0x13u);
  EXPECT_TRUE(cpu->flags.zf());
  cpu.run("63 c8");
  EXPECT_FALSE(cpu->flags.zf());
}

TEST(Tables, SelectorsDoNotExistInRealMode) {
  for (const char* bytes : {"0f 00 d0", "0f 00 d8", "0f 00 c0", "0f 02 c8", "0f 00 e0", "63 c8"}) {
    TestCpu cpu(Mode::Real);
    cpu.run(bytes);
    EXPECT_EQ(cpu.arrived(), 6) << bytes;
  }
}

}  // namespace
}  // namespace ringside::soft
