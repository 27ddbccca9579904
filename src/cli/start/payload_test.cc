// By which figure a journal tells its disks: what they contain, and not how their files have it.
#include "cli/start/payload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "machine/testing/memory_disk.h"

namespace ringside::cli {
namespace {

using machine::BlockBackend;
constexpr std::uint64_t kMiB = 1u << 20;

// Has one byte, at its end, and knows that there is nothing before it.
class Sparse final : public BlockBackend {
 public:
  explicit Sparse(std::uint64_t size) : size_(size) {}
  unsigned reads = 0;
  std::uint64_t size() const override { return size_; }
  bool read_only() const override { return true; }
  std::uint64_t after_hole(std::uint64_t offset) const override {
    return std::max(offset, size_ - 512);
  }
  Outcome read(std::uint64_t offset, std::span<std::byte> out) override {
    ++reads;
    std::ranges::fill(out, std::byte{0});
    if (offset + out.size() == size_) out.back() = std::byte{1};
    return Outcome::Done;
  }
  Outcome write(std::uint64_t, std::span<const std::byte>) override { return Outcome::Failed; }
  Outcome flush() override { return Outcome::Done; }

 private:
  const std::uint64_t size_;
};

std::uint64_t figure(const std::shared_ptr<BlockBackend>& disk) {
  const auto content = content_of({disk}, 0, Options(), {});
  EXPECT_TRUE(content) << content.error().text();
  return content.value_or(0);
}

// Zeros, but for this byte.
std::uint64_t figure_with(std::uint64_t size, std::uint64_t at) {
  const auto disk = std::make_shared<machine::testing::MemoryDisk>(size);
  if (at < size) disk->content[at] = std::byte{1};
  return figure(disk);
}

TEST(ContentOfDisks, HolesAreZerosThatAreNotRead) {
  const std::uint64_t size = 8 * kMiB + 512;
  const auto sparse = std::make_shared<Sparse>(size);
  EXPECT_EQ(figure(sparse), figure_with(size, size - 1));
  EXPECT_EQ(sparse->reads, 1u);
}

TEST(ContentOfDisks, EveryByteAndThePlaceOfItCount) {
  const std::uint64_t size = 3 * kMiB, none = ~0ull;
  const std::uint64_t zeros = figure_with(size, none);
  EXPECT_EQ(figure_with(size, none), zeros);
  EXPECT_NE(figure_with(size + 512, none), zeros);
  EXPECT_NE(figure_with(size + kMiB, none), zeros);
  for (const std::uint64_t at : {std::uint64_t{0}, kMiB - 1, kMiB, size - 1})
    EXPECT_NE(figure_with(size, at), zeros) << at;
  EXPECT_NE(figure_with(size, 0), figure_with(size, kMiB));
}

// A server that does not answer would have nobody hear SIGTERM or a debugger.
TEST(ContentOfDisks, WhoIsToldHowFarItIsMayGiveItUp) {
  const auto disk = std::make_shared<machine::testing::MemoryDisk>(2 * kMiB);
  std::uint64_t done = 0;
  const Meanwhile tell = [&](const Stage& stage) -> Result<void> {
    done = stage.done;
    EXPECT_EQ(stage.total, 2 * kMiB);
    return {};
  };
  EXPECT_TRUE(content_of({disk}, 0, Options(), tell));
  EXPECT_EQ(done, 2 * kMiB);
  const Meanwhile give_up = [](const Stage&) -> Result<void> {
    return fail(ErrorCode::System, "ended");
  };
  disk->remote = true;
  disk->waits = ~0u;
  const auto ended = content_of({disk}, 0, Options(), give_up);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().text(), "ended");
}

}  // namespace
}  // namespace ringside::cli
