#include "network/options.h"

#include <gtest/gtest.h>

namespace ringside::network {
namespace {

std::optional<NetworkOptions> network(std::string_view text) {
  auto options = parse_network(text);
  EXPECT_TRUE(options) << options.error().text();
  return options ? *std::move(options) : std::nullopt;
}

TEST(NetworkOptionsTest, ThereIsNone) { EXPECT_EQ(network("none"), std::nullopt); }

TEST(NetworkOptionsTest, AUserNetworkNeedsNoMore) { EXPECT_EQ(network("user"), NetworkOptions{}); }

TEST(NetworkOptionsTest, ForwardsArePortsOfTheHostAndOfTheGuest) {
  const NetworkOptions expected{{{Protocol::Tcp, "127.0.0.1", 2222, 22},
                                 {Protocol::Udp, "0.0.0.0", 5353, 53},
                                 {Protocol::Tcp, "::1", 65535, 1}}};
  EXPECT_EQ(network("user,forward=tcp:127.0.0.1:2222:22,forward=udp:0.0.0.0:5353:53,"
                    "forward=tcp:[::1]:65535:1"),
            expected);
}

TEST(NetworkOptionsTest, OnePortMayBeForwardedForBothProtocolsAndOnTwoAddresses) {
  EXPECT_EQ(network("user,forward=tcp:127.0.0.1:53:53,forward=udp:127.0.0.1:53:53,"
                    "forward=udp:127.0.0.2:53:53")
                ->forwards.size(),
            3u);
}

TEST(NetworkOptionsTest, WhatIsTakenIsWrittenTheSame) {
  for (const char* text : {"none", "user", "user,forward=tcp:127.0.0.1:2222:22",
                           "user,forward=udp:[fe80::1]:1:2,forward=tcp:0.0.0.0:8080:80"})
    EXPECT_EQ(to_string(network(text)), text);
}

struct Refused {
  const char* text;
  const char* because;
};

TEST(NetworkOptionsTest, WhatIsRefusedIsNamedWithTheWayOut) {
  const Refused refused[] = {
      {"", "--net: '' is neither user[,forward=tcp:127.0.0.1:2222:22] nor none"},
      {"tap", "'tap' is neither user"},
      {"none,forward=tcp:127.0.0.1:1:1", "is neither user"},
      {"user,", "'' after user is neither forward=tcp:ADDR:PORT:GUESTPORT"},
      {"user,restrict=on", "'restrict=on' after user is neither forward="},
      {"user,hostfwd=tcp::2222-:22", "is written forward=tcp:127.0.0.1:2222:22 here"},
      {"user,forward=sctp:127.0.0.1:1:1", "neither tcp:ADDR:PORT:GUESTPORT nor udp:ADDR"},
      {"user,forward=", "neither tcp:ADDR"},
      {"user,forward=tcp:", "has not the form tcp:ADDR:PORT:GUESTPORT, as forward=tcp:"},
      {"user,forward=udp:127.0.0.1:22",
       "has not the form udp:ADDR:PORT:GUESTPORT, as forward=tcp:"},
      {"user,forward=tcp:[::1:22:22", "has not the form"},
      {"user,forward=tcp::22:22", "127.0.0.1 or [::1] is for this host alone"},
      {"user,forward=tcp:localhost:22:22", "'localhost' is not an address as a number"},
      {"user,forward=tcp:127.1:22:22", "'127.1' is not an address"},
      {"user,forward=tcp:::1:22:22", "'' is not an address"},
      {"user,forward=tcp:[127.0.0.1]:22:22", "'[127.0.0.1]' is not an IPv6 address"},
      {"user,forward=tcp:[fe80::1%lo]:22:22", "is not an IPv6 address"},
      {"user,forward=tcp:127.0.0.1:0:22", "the port '0' is not a number from 1 to 65535"},
      {"user,forward=tcp:127.0.0.1:22:0", "the port '0' is not"},
      {"user,forward=tcp:127.0.0.1:22:65536", "the port '65536' is not"},
      {"user,forward=tcp:127.0.0.1:22:22x", "the port '22x' is not"},
      {"user,forward=tcp:127.0.0.1:22:22:22", "the port '22:22' is not"},
      {"user,forward=tcp:127.0.0.1:-1:22", "the port '-1' is not"},
      {"user,forward=tcp:127.0.0.1:8080:80,forward=tcp:127.0.0.1:8080:81",
       "port 8080 of 127.0.0.1 is forwarded twice"},
      {"user,forward=tcp:[::1]:8080:80,forward=tcp:[0::1]:8080:80", "is forwarded twice"},
  };
  for (const Refused& each : refused) {
    const auto options = parse_network(each.text);
    ASSERT_FALSE(options) << each.text;
    EXPECT_TRUE(options.error().text().starts_with("--net: ")) << options.error().text();
    EXPECT_NE(options.error().text().find(each.because), std::string::npos)
        << options.error().text();
  }
}

TEST(NetworkOptionsTest, ThereAreNotMoreForwardsThanCanBeMeant) {
  std::string text = "user";
  for (unsigned i = 1; i <= kMaxForwards; ++i)
    text += ",forward=tcp:127.0.0.1:" + std::to_string(i) + ":1";
  EXPECT_EQ(network(text)->forwards.size(), kMaxForwards);
  EXPECT_FALSE(parse_network(text + ",forward=udp:127.0.0.1:1:1"));
}

TEST(NetworkOptionsTest, AZeroByteEndsNoAddress) {
  EXPECT_FALSE(parse_network(std::string_view("user,forward=tcp:127.0.0.1\0:1:1", 31)));
}

}  // namespace
}  // namespace ringside::network
