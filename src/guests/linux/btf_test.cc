#include "guests/linux/btf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guests/linux/testing/synthetic_kernel.h"

namespace ringside::guests {
namespace {

using testing::BtfWriter;
using ::testing::HasSubstr;

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

Result<Btf> parse(const std::string& text) { return Btf::parse(bytes_of(text)); }

void expect_place(const std::optional<Btf::Place>& place, std::uint32_t offset, std::uint32_t size,
                  std::uint32_t count = 1) {
  ASSERT_TRUE(place);
  EXPECT_EQ(place->offset, offset);
  EXPECT_EQ(place->size, size);
  EXPECT_EQ(place->count, count);
}

TEST(Btf, SaysWhereMembersLie) {
  BtfWriter w;
  const auto u32 = w.integer(4), u64 = w.other_name(w.pointer());
  const auto inner = w.structure("inner", 16, {{"a", u32, 0}, {"b", u64, 8}});
  const auto unnamed = w.structure("", 24, {{"c", u32, 4}, {"", inner, 8}});
  const auto many = w.array(inner, 3);
  w.structure("outer", 100,
              {{"first", u32, 0}, {"", unnamed, 8}, {"in", inner, 32}, {"many", many, 48}});
  const auto btf = parse(w.bytes());
  ASSERT_TRUE(btf) << btf.error().text();
  expect_place(btf->member("outer", "first"), 0, 4);
  expect_place(btf->member("outer", "c"), 12, 4);
  expect_place(btf->member("outer", "b"), 24, 8);
  expect_place(btf->member("outer", "in.b"), 40, 8);
  expect_place(btf->member("outer", "many"), 48, 48, 3);
  expect_place(btf->member("outer", "many.b"), 56, 8);
  EXPECT_EQ(btf->size_of("outer"), 100u);
  EXPECT_FALSE(btf->member("outer", "d"));
  EXPECT_FALSE(btf->member("outer", "first.a"));
  EXPECT_FALSE(btf->member("outer", ""));
  EXPECT_FALSE(btf->member("outer", "in."));
  EXPECT_FALSE(btf->member("nothing", "a"));
}

TEST(Btf, PointersAreAsWideAsTheKernels) {
  BtfWriter w;
  w.structure("s", 12, {{"many", w.array(w.pointer(), 3), 0}});
  const auto btf = Btf::parse(bytes_of(w.bytes()), Word::Bits32);
  ASSERT_TRUE(btf);
  expect_place(btf->member("s", "many"), 0, 12, 3);
  expect_place(parse(w.bytes())->member("s", "many"), 0, 24, 3);
}

TEST(Btf, TypesThatContainThemselvesEnd) {
  BtfWriter w;
  const auto name = w.next();
  w.other_name(name);
  const auto self = w.next();
  w.structure("", 8, {{"", self, 0}, {"", self, 0}, {"x", name, 0}});
  const auto array = w.next();
  w.array(array, 0xffffffff);
  w.structure("s", 8, {{"", self, 0}, {"x", name, 0}, {"y", array, 0}, {"z", 99999, 0}});
  const auto btf = parse(w.bytes());
  ASSERT_TRUE(btf);
  EXPECT_FALSE(btf->member("s", "x"));
  EXPECT_FALSE(btf->member("s", "y"));
  EXPECT_FALSE(btf->member("s", "z"));
  EXPECT_FALSE(btf->member("s", "nothing"));
}

TEST(Btf, DamageIsRefusedInWords) {
  const std::string good = testing::SyntheticKernel::usual_types();
  ASSERT_TRUE(parse(good));
  const auto with = [&](std::size_t at, std::uint32_t value) {
    std::string text = good;
    std::memcpy(text.data() + at, &value, sizeof value);
    const auto btf = parse(text);
    return btf ? std::string("taken") : btf.error().text();
  };
  EXPECT_THAT(with(0, 0x12345678), HasSubstr("does not begin as BTF does"));
  EXPECT_THAT(with(4, 0xffffffff), HasSubstr("lies outside"));
  EXPECT_THAT(with(4, 0), HasSubstr("lies outside"));
  EXPECT_THAT(with(12, 0xffffffff), HasSubstr("lies outside"));
  EXPECT_THAT(with(20, 0xffffffff), HasSubstr("lies outside"));
  EXPECT_THAT(with(12, 15), HasSubstr("is cut off"));
  EXPECT_THAT(with(28, 31u << 24), HasSubstr("kind of type that is not known"));
  EXPECT_THAT(with(28, 4u << 24 | 0xffff), HasSubstr("is cut off"));
  EXPECT_EQ(with(24, 0xfffffff0), "taken") << "a name outside is no name";
  EXPECT_FALSE(parse(""));
  EXPECT_FALSE(Btf::parse(std::vector<std::byte>(Btf::kMostBytes + 1)));
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse(good.substr(0, size)));
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string text = good;
    text[at] = static_cast<char>(~text[at]);
    const auto btf = parse(text);
    if (btf) (void)btf->member("module", "mem.base");
  }
}

}  // namespace
}  // namespace ringside::guests
