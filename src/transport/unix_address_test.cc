#include "transport/unix_address.h"

#include <gtest/gtest.h>

namespace ringside::transport {
namespace {

TEST(UnixAddress, IsThatOfThePath) {
  const std::string longest(107, 'x');
  for (const std::string& path : {std::string("/tmp/socket"), longest}) {
    const auto address = unix_address(path);
    ASSERT_TRUE(address);
    EXPECT_EQ(address->any()->sa_family, AF_UNIX);
    EXPECT_EQ(std::string(address->local.sun_path), path);
  }
}

TEST(UnixAddress, IsNotThatOfAPartOfThePath) {
  for (const std::string& path : {std::string(108, 'x'), std::string(), std::string("a\0b", 3)})
    EXPECT_FALSE(unix_address(path)) << path;
  EXPECT_EQ(unix_address(std::string(200, 'y')).error().text(),
            "the path of a Unix socket has 1 to 107 bytes, none of them zero, and '" +
                std::string(40, 'y') + "' has 200");
}

}  // namespace
}  // namespace ringside::transport
