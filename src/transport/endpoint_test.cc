#include "transport/endpoint.h"

#include <gtest/gtest.h>

namespace ringside::transport {
namespace {

struct Row {
  std::string_view text;
  Endpoint endpoint;
  std::string_view shown;
};

TEST(Endpoint, IsWhatTheTableSays) {
  const Row rows[] = {
      {"1234", TcpEndpoint{"127.0.0.1", 1234}, "127.0.0.1:1234"},
      {"0", TcpEndpoint{"127.0.0.1", 0}, "127.0.0.1:0"},
      {"65535", TcpEndpoint{"127.0.0.1", 65535}, "127.0.0.1:65535"},
      {"0.0.0.0:1234", TcpEndpoint{"0.0.0.0", 1234}, "0.0.0.0:1234"},
      {"localhost:1", TcpEndpoint{"localhost", 1}, "localhost:1"},
      {"[::1]:1234", TcpEndpoint{"::1", 1234}, "[::1]:1234"},
      {"::1:1234", TcpEndpoint{"::1", 1234}, "[::1]:1234"},
      {":::1234", TcpEndpoint{"::", 1234}, "[::]:1234"},
      {"[::]:0", TcpEndpoint{"::", 0}, "[::]:0"},
      {"[fe80::1%eth0]:7", TcpEndpoint{"fe80::1%eth0", 7}, "[fe80::1%eth0]:7"},
      {"unix:/run/gdb", UnixEndpoint{"/run/gdb"}, "unix:/run/gdb"},
      {"unix:a:1", UnixEndpoint{"a:1"}, "unix:a:1"},
      {"stdio", StdioEndpoint{}, "stdio"},
  };
  for (const Row& row : rows) {
    const auto endpoint = parse_endpoint(row.text);
    ASSERT_TRUE(endpoint) << row.text << ": " << endpoint.error().text();
    EXPECT_EQ(*endpoint, row.endpoint) << row.text;
    EXPECT_EQ(to_string(*endpoint), row.shown);
  }
}

TEST(Endpoint, IsRefusedWithASentenceThatNamesIt) {
  const std::string long_path = "unix:" + std::string(200, 'x');
  const std::string_view wrong[] = {
      "",          "x",
      "65536",     "-1",
      "1x",        "0x10",
      " 1",        ":1234",
      "1.2.3.4:",  "[::1]",
      "[::1]:",    "[]:1",
      "[::1:1",    "::1]:1",
      "a b:1",     "host:port",
      "h:65536",   "unix:",
      long_path,   "STDIO",
      "[::1]1234", "127.0.0.1:99999999999999999999",
  };
  for (const std::string_view text : wrong) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(endpoint.error().code(), ErrorCode::BadRequest);
    EXPECT_NE(endpoint.error().text().find(text), std::string::npos) << endpoint.error().text();
  }
}

// As other programs write it: what to type here is said.
TEST(Endpoint, AForeignSpellingIsToldTheRightOne) {
  for (const std::string_view text :
       {":1234", "tcp::1234", "tcp:1234", "tcp:localhost:1234", "tcp:127.0.0.1:1234"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(
        endpoint.error().text(),
        "'" + std::string(text) +
            "' is not how a port is written here; type 1234 for port 1234 of this host alone, "
            "ADDRESS:1234 for another address");
  }
}

}  // namespace
}  // namespace ringside::transport
