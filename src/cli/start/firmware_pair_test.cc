#include "cli/start/firmware_pair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace ringside::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::byte> volume(std::size_t kilobytes) {
  std::vector<std::byte> bytes(kilobytes << 10);
  const std::string_view signature = "_FVH";
  for (std::size_t i = 0; i < signature.size(); ++i)
    bytes[40 + i] = static_cast<std::byte>(signature[i]);
  return bytes;
}

// Debian's OVMF of 2 and of 4 MiB.
TEST(FirmwarePair, IsToldByTheSizes) {
  const std::vector<std::byte> code = volume(1920), code4 = volume(3568), both = volume(2048);
  const std::vector<std::byte> vars = volume(128), vars4 = volume(528), zeros(128u << 10);
  EXPECT_EQ(odd_pair("F", code, {"V", vars.size(), vars}), "");
  EXPECT_EQ(odd_pair("F", code4, {"V", vars4.size(), vars4}), "");
  EXPECT_EQ(odd_pair("F", both, {}), "");
  EXPECT_THAT(odd_pair("F", code, {}), StartsWith("firmware 'F' keeps its variables in another"));
  EXPECT_THAT(odd_pair("F", code4, {"V", vars.size(), vars}),
              HasSubstr("V (128K) is not of the kind that belongs to firmware 'F' (3568K)"));
  EXPECT_THAT(odd_pair("F", code, {"V", zeros.size(), zeros}), HasSubstr("V has no variables"));
}

TEST(FirmwarePair, IsOfUefiAlone) {
  EXPECT_TRUE(is_uefi(volume(64)));
  EXPECT_FALSE(is_uefi(std::vector<std::byte>(64u << 10)));
  const std::vector<std::byte> other(12u << 10), nothing;
  EXPECT_EQ(odd_pair("F", other, {}), "");
  EXPECT_EQ(odd_pair("F", nothing, {"V", 0, nothing}), "");
}

}  // namespace
}  // namespace ringside::cli
