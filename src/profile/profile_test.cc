// Samples at exact counts with their callers, and calls with their times, of a program that calls
// itself round: one vCPU of the software CPU in flat 32-bit code, and a reader of it that knows
// three functions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/state_hash.h"
#include "engine/soft/soft_vm.h"
#include "engine/soft/testing/test_cpu.h"
#include "profile/call_trace.h"
#include "profile/profiler.h"

namespace ringside::profile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kOuter = 0x7000, kMiddle = 0x7010, kInner = 0x7020, kStack = 0x6000;

// What the engine is, knowing three functions and where the stack ends.
class Functions final : public GuestCode {
 public:
  std::optional<Place> place_of(Gva address) override {
    for (const auto& [start, name] : std::map<std::uint64_t, const char*>{
             {kOuter, "outer"}, {kMiddle, "middle"}, {kInner, "inner"}}) {
      if (address.value - start < 16) return Place{name, {start}, "test"};
    }
    return std::nullopt;
  }
  bool is_known_code(Gva address) override { return place_of(address).has_value(); }
  std::optional<Gva> stack_end(Gva) override { return Gva{kStack + 64}; }
};

class Profile : public ::testing::Test {
 protected:
  void begin(const char* middle, const char* inner) {
    x86::CpuState entry = x86::reset_state();
    entry.cr0 |= x86::cr0::PE;
    for (std::size_t i = 0; i < 6; ++i)
      entry.segment[i] = {8, 0xc093, 0xffffffff, 0};
    entry.seg(x86::SegmentName::Cs).attributes = 0xc09b;
    entry.rip = kOuter;
    entry.reg(x86::Gpr::Rsp) = kStack;
    engine_ = soft::create(ram_, platform_, entry, {});
    put(kOuter, "e80b000000ebf9");  // call middle; jmp outer
    put(kMiddle, middle);
    put(kInner, inner);
    engine_->resume({0});
  }
  void put(std::uint64_t at, std::string_view hex) {
    for (std::size_t i = 0; i < hex.size(); i += 2) {
      *ram_.host({at + i / 2}, 1) =
          static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16));
    }
  }
  void run_to(std::uint64_t total) {
    engine_->stop_at(InsnCount{total});
    while (engine_->total_instructions().value < total && engine_->run_slice()) {
    }
  }
  Output output(std::uint64_t most = 8 << 20) {
    return {[this](std::span<const std::byte> bytes) -> Result<void> {
              if (disk_is_full_) return fail(ErrorCode::System, "no room");
              text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
              return {};
            },
            most};
  }
  auto note_end() {
    return [this](const Result<std::string>& why) {
      ends_.push_back(why ? *why : why.error().text());
    };
  }
  std::uint64_t hash() {
    StateHasher hasher;
    engine_->visit_state(hasher);
    return hasher.value();
  }
  // Lines of the text that have `part`.
  std::vector<std::string> lines(std::string_view part) const {
    std::vector<std::string> result;
    for (std::size_t at = 0; at < text_.size();) {
      const std::size_t end = std::min(text_.find('\n', at), text_.size());
      const std::string line = text_.substr(at, end - at);
      if (line.find(part) != std::string::npos) result.push_back(line);
      at = end + 1;
    }
    return result;
  }

  hypervisor::GuestRam ram_ = hypervisor::GuestRam::create(2u << 20).value();
  soft::testing::TestPlatform platform_;
  std::unique_ptr<soft::SoftEngine> engine_;
  Functions functions_;
  GuestCode nothing_;
  bool disk_is_full_ = false;
  std::string text_;
  std::vector<std::string> ends_;
};

// push ebp; mov ebp, esp; call inner; pop ebp; ret
constexpr const char* kMiddleWithFrame = "5589e5e8080000005dc3";
// The same without a frame, but with something on the stack: push 0x7018; call inner; pop; ret. The
// constant is no address behind a call here.
constexpr const char* kMiddleWithoutFrame = "6818700000e8060000005dc3";
constexpr const char* kLoopsWithFrame = "5589e541ebfd";  // push ebp; mov ebp, esp; inc ecx; jmp
constexpr const char* kLoops = "41ebfd";                 // inc ecx; jmp
constexpr const char* kReturns = "c3";

TEST_F(Profile, SamplesAreAtCountsThatTheIntervalDivides) {
  begin(kMiddleWithFrame, kLoopsWithFrame);
  run_to(1234);
  Profiler profiler(*engine_, functions_, 1000, output(), note_end());
  run_to(1'005'000);
  ASSERT_TRUE(profiler.finish());
  EXPECT_EQ(profiler.samples(), 1004u);
  const auto counts = lines("# count ");
  ASSERT_EQ(counts.size(), 1004u);
  EXPECT_EQ(counts.front(), "# count 2000 cpl 0 cr3 0x0");
  EXPECT_EQ(counts.back(), "# count 1005000 cpl 0 cr3 0x0");
}

TEST_F(Profile, ASampleIsATextOfPerfScript) {
  begin(kMiddleWithFrame, kLoopsWithFrame);
  Profiler profiler(*engine_, functions_, 1000, output(), note_end());
  run_to(1000);
  ASSERT_TRUE(profiler.finish());
  EXPECT_EQ(text_,
            "# count 1000 cpl 0 cr3 0x0\n"
            "guest            0/0 [000] 0.000001000: 1000 instructions:\n"
            "\t            7023 inner+0x3 ([test])\n"
            "\t            7018 middle+0x8 ([test])\n"
            "\t            7005 outer+0x5 ([test])\n\n");
}

TEST_F(Profile, WithoutSymbolsFramePointersAreFollowed) {
  begin(kMiddleWithFrame, kLoopsWithFrame);
  Profiler profiler(*engine_, nothing_, 1000, output(), note_end());
  run_to(1000);
  ASSERT_TRUE(profiler.finish());
  EXPECT_THAT(lines("["),
              ElementsAre(HasSubstr("guest  "), "\t            7023 [unknown] ([guest])",
                          "\t            7018 [unknown] ([guest])",
                          "\t            7005 [unknown] ([guest])"));
}

TEST_F(Profile, WithoutFramePointersAStackOfKnownCodeIsSearchedAndItIsAGuess) {
  begin(kMiddleWithoutFrame, kLoops);
  Profiler profiler(*engine_, functions_, 1000, output(), note_end());
  run_to(1000);
  ASSERT_TRUE(profiler.finish());
  EXPECT_THAT(lines("]"), ElementsAre(HasSubstr("guest  "), HasSubstr("inner+0x"),
                                      "\t            701a middle+0xa ([test]?)",
                                      "\t            7005 outer+0x5 ([test]?)"));
}

TEST_F(Profile, AFramePointerThatLeadsToItselfEnds) {
  begin(kMiddleWithFrame, "bd00600000ebfe");  // mov ebp, 0x6000; jmp
  put(0x6000, "0060000018700000");            // it points to itself, with a return address behind
  Profiler profiler(*engine_, nothing_, 1000, output(), note_end());
  run_to(1000);
  ASSERT_TRUE(profiler.finish());
  EXPECT_EQ(lines("]").size(), 3u);
}

TEST_F(Profile, TheGuestCannotTell) {
  begin(kMiddleWithFrame, kReturns);
  run_to(100'001);
  const std::uint64_t expected = hash();
  begin(kMiddleWithFrame, kReturns);
  std::fill_n(ram_.host({kStack - 64}, 64), 64, std::uint8_t{0});
  {
    Profiler profiler(*engine_, functions_, 777, output(), note_end());
    run_to(40'000);
    CallTrace trace(*engine_, functions_, output(), note_end());
    run_to(70'003);
  }
  run_to(100'001);
  EXPECT_EQ(hash(), expected);
}

TEST_F(Profile, AFullDiskEndsIt) {
  begin(kMiddleWithFrame, kLoopsWithFrame);
  Profiler profiler(*engine_, functions_, 100, output(), note_end());
  disk_is_full_ = true;
  run_to(1'000'000);
  EXPECT_THAT(ends_, ElementsAre("no room"));
  EXPECT_EQ(engine_->total_instructions().value, 1'000'000u);
}

TEST_F(Profile, ALimitEndsIt) {
  begin(kMiddleWithFrame, kLoopsWithFrame);
  Profiler profiler(*engine_, functions_, 100, output(1000), note_end());
  run_to(100'000);
  EXPECT_THAT(ends_, ElementsAre(HasSubstr("limit")));
  EXPECT_LT(profiler.samples(), 10u);
}

TEST_F(Profile, CallsHaveTheirTimes) {
  begin(kMiddleWithFrame, kReturns);
  CallTrace trace(*engine_, functions_, output(), note_end());
  run_to(17);
  ASSERT_TRUE(trace.finish());
  // The second round is cut off in the middle: what has not ended ends with the trace.
  EXPECT_THAT(lines("\"X\""),
              ElementsAre(R"({"name":"inner","ph":"X","ts":0.004,"dur":0.001,"pid":1,"tid":1},)",
                          R"({"name":"middle","ph":"X","ts":0.001,"dur":0.006,"pid":1,"tid":1},)",
                          R"({"name":"inner","ph":"X","ts":0.012,"dur":0.001,"pid":1,"tid":1},)",
                          R"({"name":"middle","ph":"X","ts":0.009,"dur":0.006,"pid":1,"tid":1},)",
                          R"({"name":"middle","ph":"X","ts":0.017,"dur":0.000,"pid":1,"tid":1})"));
  EXPECT_TRUE(text_.starts_with("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{")) << text_;
  EXPECT_TRUE(text_.ends_with("}\n]}\n")) << text_;
  EXPECT_EQ(trace.calls(), 5u);
}

// middle: call +5, which puts the address of inner where it would return to, and returns.
TEST_F(Profile, ACallThroughAReturnHasTheNameOfItsTarget) {
  begin("e800000000c7042420700000c3", kReturns);
  CallTrace trace(*engine_, functions_, output(), note_end());
  run_to(6);
  ASSERT_TRUE(trace.finish());
  EXPECT_THAT(lines("\"X\""),
              ElementsAre(R"({"name":"inner","ph":"X","ts":0.001,"dur":0.004,"pid":1,"tid":1})"));
}

TEST_F(Profile, ATraceHasALimit) {
  begin(kMiddleWithFrame, kReturns);
  CallTrace trace(*engine_, functions_, output(10'000), note_end());
  run_to(1'000'000);
  EXPECT_THAT(ends_, ElementsAre(HasSubstr("limit")));
  ASSERT_TRUE(trace.finish());
  EXPECT_LT(text_.size(), 11'000u);
  EXPECT_TRUE(text_.ends_with("}\n]}\n"));
}

// A stack that only grows has no end; what is deep is left out.
TEST_F(Profile, CallsWithoutReturnsAreBounded) {
  begin("e8fbffffff", kReturns);  // middle: call middle
  CallTrace trace(*engine_, functions_, output(), note_end());
  run_to(5'000);
  ASSERT_TRUE(trace.finish());
  EXPECT_LE(trace.calls(), 2 * CallTrace::kMostDepth) << "in two times 16 KiB of stack";
}

}  // namespace
}  // namespace ringside::profile
