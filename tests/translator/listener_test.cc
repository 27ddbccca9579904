// Who is told of host code knows at every moment what lies where.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>
#include <map>

#include "translator/bare_twins.h"
#include "translator/random_program.h"

namespace ringside::testing {
namespace {

class Recorder final : public soft::HostCodeListener {
 public:
  void written(const void* start, std::size_t size, std::string_view name) override {
    const auto first = reinterpret_cast<std::uintptr_t>(start);
    const auto next = pieces_.lower_bound(first);
    if (next != pieces_.end()) {
      EXPECT_GE(next->first, first + size) << name;
    }
    if (next != pieces_.begin()) {
      EXPECT_LE(std::prev(next)->second, first) << name;
    }
    pieces_[first] = first + size;
    ++(name.starts_with("stub_") ? stubs_ : blocks_);
  }
  void thrown_away() override {
    EXPECT_GT(stubs_, 0u);
    pieces_.clear();
    stubs_ = 0;
    ++times_;
  }
  std::size_t stubs() const { return stubs_; }
  std::size_t blocks() const { return blocks_; }
  std::size_t times() const { return times_; }
  std::size_t size() const {
    return pieces_.empty() ? 0 : pieces_.rbegin()->second - pieces_.begin()->first;
  }

 private:
  std::map<std::uintptr_t, std::uintptr_t> pieces_;  // from the start to the end
  std::size_t stubs_ = 0, blocks_ = 0, times_ = 0;
};

TEST(HostCodeListener, KnowsWhatLiesWhere) {
  constexpr std::size_t kBytes = 64 << 10;
  std::size_t times = 0;
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto recorder = std::make_shared<Recorder>();
    soft::TranslatorOptions options = translated(kBytes);
    options.listener = recorder;
    BareMachine machine(random_program(Setting::User64, seed), options);
    const std::size_t stubs = recorder->stubs();
    EXPECT_GE(stubs, 6u);
    machine.run_to({6000});
    EXPECT_GT(recorder->blocks(), 0u);
    EXPECT_EQ(recorder->stubs(), stubs);
    EXPECT_LE(recorder->size(), kBytes);
    times += recorder->times();
  }
  EXPECT_GT(times, 0u) << "no program has filled the memory";
}

}  // namespace
}  // namespace ringside::testing
