// What an engine adds to the registers and threads that a debugger sees.
#include "ringside/extra_registers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "debug/testing/fixture.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

using ::testing::HasSubstr;

class Counters final : public hypervisor::ExtraRegisters {
 public:
  std::span<const hypervisor::ExtraRegister> list() const override { return list_; }
  Result<x86::RegisterValue> read_extra_register(VcpuId vcpu, std::size_t index) override {
    return x86::RegisterValue::from_u64(values[{vcpu.value, index}]);
  }
  Result<void> write_extra_register(VcpuId vcpu, std::size_t index,
                                    const x86::RegisterValue& value) override {
    if (index == 1) return fail(ErrorCode::NotSupported, "exits is counted");
    values[{vcpu.value, index}] = value.as_u64();
    return {};
  }
  std::map<std::pair<std::uint32_t, std::size_t>, std::uint64_t> values;

 private:
  std::vector<hypervisor::ExtraRegister> list_{{"cycles", 64, "int64"}, {"exits", 32, "int32"}};
};

std::string numbered(const char* packet, std::size_t extra) {
  char text[32];
  std::snprintf(text, sizeof text, "%s%zx", packet, x86::kRegisterCount + extra);
  return text;
}

TEST(ExtraRegisters, AreDescribedReadAndWritten) {
  Counters counters;
  testing::Bench bench(2);
  bench.guest.vm.offer.extra_registers = &counters;
  bench.attach();
  bench.ask("qSupported:error-message+");
  const std::string description = bench.ask("qXfer:features:read:target.xml:0,10000");
  EXPECT_THAT(description, HasSubstr("<feature name=\"org.ringside.extra\">\n<reg name=\"cycles\" "
                                     "bitsize=\"64\" type=\"int64\" regnum=\"" +
                                     std::to_string(x86::kRegisterCount) + "\""));
  counters.values[{1, 0}] = 0x1122;
  counters.values[{1, 1}] = 7;
  bench.ask("Hg2");
  EXPECT_EQ(bench.ask(numbered("p", 0)), "2211000000000000");
  EXPECT_EQ(bench.ask(numbered("p", 1)), "07000000");
  EXPECT_EQ(bench.ask(numbered("P", 0) + "=0100000000000000"), "OK");
  EXPECT_EQ((counters.values[{1, 0}]), 1u);
  EXPECT_EQ(bench.ask(numbered("P", 1) + "=01000000"), "E.exits is counted");
  EXPECT_EQ(bench.ask(numbered("P", 0) + "=01").substr(0, 1), "E");
  EXPECT_EQ(bench.ask(numbered("p", 2)).substr(0, 1), "E");
  EXPECT_EQ(bench.ask(numbered("P", 2) + "=00").substr(0, 1), "E");
}

TEST(ExtraRegisters, WithoutThemTheDescriptionHasNoPartForThem) {
  testing::Bench bench;
  bench.attach();
  EXPECT_EQ(bench.ask("qXfer:features:read:target.xml:0,10000").find("org.ringside.extra"),
            std::string::npos);
  EXPECT_EQ(bench.ask(numbered("p", 0)).substr(0, 1), "E");
}

TEST(ThreadNames, AreTheEnginesWhereItHasSome) {
  testing::Bench bench(2);
  bench.guest.vm.vcpu({1}).called = "io <\"1\"> & more";
  bench.attach();
  const std::string list = bench.ask("qXfer:threads:read::0,1000");
  EXPECT_THAT(list, HasSubstr("name=\"vCPU 0\""));
  EXPECT_THAT(list, HasSubstr("name=\"io &lt;&quot;1&quot;&gt; &amp; more\""));
  EXPECT_EQ(bench.ask("qThreadExtraInfo,2"), "696f203c2231223e2026206d6f7265");
}

}  // namespace
}  // namespace ringside::debug
