#include "nbd/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringside::nbd {
namespace {

using ::testing::HasSubstr;

TEST(NbdAddress, IsNoFile) {
  for (const char* address : {"nbd://host", "nbd://[::1]:10809/e", "nbd+unix:path", "nbds://host",
                              "nbd+unix:///e?socket=p", "nbd:unix:path", "nbd:localhost:10809"})
    EXPECT_TRUE(is_address(address)) << address;
  for (const char* file : {"nbd", "./nbd://host", "nbd+unix", "/nbd:", "disk.img"})
    EXPECT_FALSE(is_address(file)) << file;
}

TEST(NbdAddress, BecomesAUri) {
  EXPECT_EQ(uri_of("nbd://localhost:1/e"), "nbd://localhost:1/e");
  EXPECT_EQ(uri_of("nbd+unix:///e?socket=p"), "nbd+unix:///e?socket=p");
  EXPECT_EQ(uri_of("nbd+unix:/tmp/a.sock"), "nbd+unix:///?socket=/tmp/a.sock");
  EXPECT_EQ(uri_of("nbd+unix:a b&c=%"), "nbd+unix:///?socket=a%20b%26c%3D%25");
}

TEST(NbdAddress, OthersAreToldHow) {
  for (const char* other : {"nbds://host", "nbd:unix:path", "nbd+vsock://1", "nbds+unix:///"})
    EXPECT_THAT(uri_of(other).error().text(), HasSubstr("named by nbd+unix:PATH")) << other;
  EXPECT_EQ(uri_of("nbd+unix:").error().text(), "'nbd+unix:' names no socket");
}

TEST(NbdAddress, IsTheSameFromElsewhere) {
  EXPECT_EQ(absolute("nbd+unix:/a/b"), "nbd+unix:/a/b");
  EXPECT_THAT(absolute("nbd+unix:b"), ::testing::MatchesRegex("nbd\\+unix:/.*/b"));
  EXPECT_EQ(absolute("nbd://h/e"), "nbd://h/e");
}

}  // namespace
}  // namespace ringside::nbd
