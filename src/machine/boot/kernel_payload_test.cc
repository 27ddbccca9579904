#include "machine/boot/kernel_payload.h"

#include <gtest/gtest.h>

#include "machine/testing/packers.h"

namespace ringside::machine {
namespace {

using testing::Image;

Image sample(std::size_t size) {
  // Runs of 61 bytes of noise: packs, but not to nothing.
  Image image(size);
  std::uint32_t x = 1;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 61 == 0) x = x * 1664525 + 1013904223;
    image[i] = static_cast<std::byte>(x >> 24);
  }
  return image;
}

class KernelPayload : public ::testing::TestWithParam<Compression> {};

TEST_P(KernelPayload, UnpacksWhatLinuxPacks) {
  // The second is larger than the first buffer and than one LZ4 block.
  for (const std::size_t size : {0x1000u, 9u << 20}) {
    const Image original = sample(size);
    Image packed = testing::pack(original, GetParam());
    ASSERT_EQ(detect_compression(packed), GetParam());
    testing::put(packed, packed.size(), static_cast<std::uint32_t>(original.size()));
    std::size_t turns = 0;
    const auto unpacked =
        unpack(packed, GetParam(), 64u << 20, [&](const Stage& stage) -> Result<void> {
          ++turns;
          EXPECT_EQ(stage.what, kUnpacking);
          EXPECT_LE(stage.done, original.size());
          return {};
        });
    // LZ4's blocks are of 8 MiB, the others' turns of one.
    if (GetParam() != Compression::None) {
      EXPECT_GE(turns, original.size() >> (GetParam() == Compression::Lz4Legacy ? 23 : 20));
    }
    ASSERT_TRUE(unpacked) << unpacked.error().text();
    EXPECT_TRUE(*unpacked == original);
  }
}

TEST_P(KernelPayload, RefusesMoreThanTheLimit) {
  const auto unpacked = unpack(testing::pack(sample(9u << 20), GetParam()), GetParam(), 2u << 20);
  ASSERT_FALSE(unpacked);
  EXPECT_EQ(unpacked.error().text(), "unpacks to more than 2M");
}

TEST_P(KernelPayload, IsDamagedWhereverItIsCut) {
  const Image packed = testing::pack(sample(0x3000), GetParam());
  for (std::size_t size = 8; size < packed.size(); size += 97) {
    const auto unpacked = unpack(Bytes(packed).first(size), GetParam(), 1u << 20);
    ASSERT_FALSE(unpacked) << size;
    EXPECT_NE(unpacked.error().text().find("is damaged"), std::string::npos);
  }
}

TEST_P(KernelPayload, SurvivesEveryChangedByte) {
  const Image packed = testing::pack(sample(0x3000), GetParam());
  for (std::size_t at = 0; at < packed.size(); at += at < 64 ? 1 : 31) {
    for (const std::byte change : {std::byte{0xff}, std::byte{0x80}, std::byte{1}}) {
      Image broken = packed;
      broken[at] ^= change;
      const auto unpacked = unpack(broken, GetParam(), 1u << 20);
      if (unpacked) {
        EXPECT_LE(unpacked->size(), 1u << 20);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, KernelPayload,
                         ::testing::Values(Compression::Gzip, Compression::Xz, Compression::Lzma,
                                           Compression::Zstd, Compression::Lz4Legacy),
                         [](const auto& parameter) {
                           return std::string(compression_name(parameter.param));
                         });

TEST(KernelPayloadFormat, IsRecognisedByContent) {
  EXPECT_EQ(detect_compression(testing::make_vmlinux()), Compression::None);
  EXPECT_EQ(detect_compression({}), std::nullopt);
  Image bzip2;
  testing::put_text(bzip2, 0, "BZh91AY&SY");
  EXPECT_EQ(detect_compression(bzip2), std::nullopt);
}

}  // namespace
}  // namespace ringside::machine
