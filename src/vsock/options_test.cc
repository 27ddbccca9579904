#include "vsock/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringside::vsock {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string_view text) {
  const auto parsed = parse_vsock(text);
  return parsed ? "" : parsed.error().text();
}

TEST(VsockOptions, AreAPathAndPerhapsTheGuestsNumber) {
  EXPECT_FALSE(*parse_vsock("none"));
  EXPECT_EQ(**parse_vsock("a"), (VsockOptions{"a", 3, false}));
  EXPECT_EQ(**parse_vsock("a,cid=7"), (VsockOptions{"a", 7, true}));
  EXPECT_EQ(**parse_vsock("a,b,cid=4294967294"), (VsockOptions{"a,b", 4294967294, true}));
  EXPECT_EQ(path_of_port("a", 4294967295), "a_4294967295");
}

TEST(VsockOptions, AreRefusedInWords) {
  for (const char* cid : {"0", "1", "2", "-1", "x", "", "4294967295", "4294967296", "3x", "0x3"})
    EXPECT_THAT(error_of(std::string("a,cid=") + cid), HasSubstr("from 3 to 4294967294")) << cid;
  EXPECT_THAT(error_of(""), HasSubstr("type PATH[,cid=N]"));
  EXPECT_THAT(error_of(",cid=3"), HasSubstr("type PATH[,cid=N]"));
  for (const char* text : {"a,cid=3,cid=4", "none,cid=3"})
    EXPECT_THAT(error_of(text), HasSubstr("is not one PATH")) << text;
  EXPECT_EQ(error_of(std::string(96, 'x')), "");
  EXPECT_THAT(error_of(std::string(97, 'x')), HasSubstr("at most 96 bytes"));
  EXPECT_THAT(error_of("/tmp,port=3"), HasSubstr("behind '/tmp' there can be ,cid=N"));
}

}  // namespace
}  // namespace ringside::vsock
